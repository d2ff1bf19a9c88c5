package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"multihop/internal/netlab"
)

// A Conf is a wg-quick file.
type Conf struct {
	PrivateKey netlab.Key
	Addrs      []netip.Addr
	DNS        string // as in the file; "": none
	MTU        int
	ListenPort int
	Peers      []ConfPeer
}

// A ConfPeer is a [Peer] section.
type ConfPeer struct {
	PublicKey    netlab.Key
	PresharedKey netlab.Key
	Endpoint     netip.AddrPort // not valid: none
	AllowedIPs   []string
	Keepalive    int
}

// Write writes the file as dir/name, readable by its owner only, and returns
// its path.
func (c *Conf) Write(tb testing.TB, dir, name string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(c.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// String is the file's text.
func (c *Conf) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[Interface]\nPrivateKey = %s\n", c.PrivateKey.Base64())
	for _, a := range c.Addrs {
		fmt.Fprintf(&b, "Address = %v/%d\n", a, a.BitLen())
	}
	if c.DNS != "" {
		fmt.Fprintf(&b, "DNS = %s\n", c.DNS)
	}
	if c.MTU != 0 {
		fmt.Fprintf(&b, "MTU = %d\n", c.MTU)
	}
	if c.ListenPort != 0 {
		fmt.Fprintf(&b, "ListenPort = %d\n", c.ListenPort)
	}
	for _, p := range c.Peers {
		fmt.Fprintf(&b, "\n[Peer]\nPublicKey = %s\n", p.PublicKey.Base64())
		if !p.PresharedKey.IsZero() {
			fmt.Fprintf(&b, "PresharedKey = %s\n", p.PresharedKey.Base64())
		}
		fmt.Fprintf(&b, "AllowedIPs = %s\n", strings.Join(p.AllowedIPs, ", "))
		if p.Endpoint.IsValid() {
			fmt.Fprintf(&b, "Endpoint = %v\n", p.Endpoint)
		}
		if p.Keepalive != 0 {
			fmt.Fprintf(&b, "PersistentKeepalive = %d\n", p.Keepalive)
		}
	}
	return b.String()
}
