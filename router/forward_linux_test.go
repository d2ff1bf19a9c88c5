package router

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
	wgtun "golang.zx2c4.com/wireguard/tun"

	"multihop/tun"
)

// A wrapped is a TUN of somebody else's around another.
type wrapped struct{ wgtun.Device }

func (w wrapped) Unwrap() wgtun.Device { return w.Device }

// TestCutsSegments: of the kernel's TUN the router knows that it cuts super-packets,
// also inside others.
func TestCutsSegments(t *testing.T) {
	memory := tun.NewMemory(nil)
	if cutsSegments(memory) || cutsSegments(wrapped{wrapped{memory}}) {
		t.Error("one in memory does not")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a TUN")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and the namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	dev, err := tun.Open("mh-cuts", 1420)
	must(t, err)
	defer dev.Close()
	if !cutsSegments(dev) || !cutsSegments(wrapped{wrapped{dev}}) {
		t.Error("the kernel's does")
	}
}
