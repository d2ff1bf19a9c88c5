package main

import (
	"testing"

	"multihop/conf"
	"multihop/router"
)

// TestApplyKeepsHooks: what the hooks of the start did is undone, though what was
// applied since has none.
func TestApplyKeepsHooks(t *testing.T) {
	in := &instance{order: new(order)}
	down := []conf.Hook{{Command: "true"}}
	in.setForce(&desired{conf: &conf.Instance{Name: "office", Settings: conf.Settings{PreDown: down, PostDown: down}}})
	c, _, err := in.read("[Hop]\nName = entry\nPrivateKey = " + router.NewPrivateKey().Encode() + "\nAddress = 10.64.0.2\n" +
		"[Peer]\nPublicKey = " + router.NewPrivateKey().Public().Encode() + "\nEndpoint = 192.0.2.1:51820\nAllowedIPs = 0.0.0.0/0\n")
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Settings; len(s.PreDown) != 1 || len(s.PostDown) != 1 || c.Name != "office" {
		t.Errorf("%s: %+v", c.Name, s)
	}
}
