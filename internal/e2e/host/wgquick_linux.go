package host

import (
	"testing"

	"multihop/internal/netlab"
)

// A WGQuick is a tunnel of wg-quick's on the host, over wireguard-go. It shows
// what leaks without care, and stands beside multihop.
type WGQuick struct {
	net  *Network
	file string
}

// WGQuick writes the file, whose name without .conf is the interface's.
func (n *Network) WGQuick(tb testing.TB, f File) *WGQuick {
	tb.Helper()
	netlab.RequireTool(tb, "wg-quick", "wireguard-tools")
	return &WGQuick{net: n, file: n.Write(tb, "/etc/wireguard", f)}
}

// Try runs "up" or "down".
func (w *WGQuick) Try(verb string) (string, error) {
	return w.net.Run("env", "WG_QUICK_USERSPACE_IMPLEMENTATION="+w.net.Programs.WireGuardGo, "wg-quick", verb, w.file)
}

// Up brings the tunnel up; it fails the test if that fails.
func (w *WGQuick) Up(tb testing.TB) {
	tb.Helper()
	if out, err := w.Try("up"); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
}

// Down takes it down; it fails the test if that fails.
func (w *WGQuick) Down(tb testing.TB) {
	tb.Helper()
	if out, err := w.Try("down"); err != nil {
		tb.Errorf("%v\n%s", err, out)
	}
}
