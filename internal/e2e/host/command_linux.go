package host

import (
	"context"
	"testing"
	"time"
)

// commandTime is how long a command may take.
const commandTime = 30 * time.Second

// Run runs a program on the host to its end and returns what it wrote.
func (n *Network) Run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	return n.Host.Run(ctx, name, args...)
}

// Must is Run of a program that has to succeed.
func (n *Network) Must(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	out, err := n.Run(name, args...)
	if err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return out
}

// IP runs ip(8) on the host; it has to succeed.
func (n *Network) IP(tb testing.TB, args ...string) string {
	tb.Helper()
	return n.Must(tb, n.ip, args...)
}
