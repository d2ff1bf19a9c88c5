package tun

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	wgtun "golang.zx2c4.com/wireguard/tun"
)

func TestCheckName(t *testing.T) {
	tests := []struct {
		name string
		ok   bool
	}{
		{"mh0", true},
		{"a_=+.-Z9", true},
		{"123456789012345", true},
		{"1234567890123456", false},
		{"", false},
		{".", false},
		{"..", false},
		{"mh%d", false},
		{"mh/0", false},
		{"mh 0", false},
		{"mh\x00", false},
		{"mhö", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := checkName(tt.name)
			if (err == nil) != tt.ok {
				t.Fatalf("checkName(%q) = %v, want ok %v", tt.name, err, tt.ok)
			}
			if err != nil && !errors.Is(err, ErrName) {
				t.Fatalf("%v is no ErrName", err)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{unix.EPERM, "CAP_NET_ADMIN"},
		{unix.EACCES, "CAP_NET_ADMIN"},
		{unix.EBUSY, "in use by another program"},
		{unix.EINVAL, "no TUN"},
		{unix.ENODEV, "tun module"},
	}
	for _, tt := range tests {
		t.Run(tt.err.Error(), func(t *testing.T) {
			got := explain(tt.err)
			if !strings.Contains(got.Error(), tt.want) || !errors.Is(got, tt.err) {
				t.Fatalf("explain(%v) = %q, want %q and the cause", tt.err, got, tt.want)
			}
		})
	}
}

func TestOpenRefusesMTU(t *testing.T) {
	for _, mtu := range []int{-1, 0, 67, 65536} {
		if _, err := Open("mh0", mtu); err == nil {
			t.Fatalf("MTU %d accepted", mtu)
		}
	}
}

// ownNetns moves the test's thread, which then ends with it, to a new network
// namespace.
func ownNetns(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: creates TUN devices in a network namespace")
	}
	runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs a network namespace of its own: %v", err)
	}
	if deviceMissing() {
		t.Skip("needs " + cloneDevice)
	}
}

func TestOpen(t *testing.T) {
	ownNetns(t)
	dev, err := Open("mh-test0", 1380)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if name, err := dev.Name(); err != nil || name != "mh-test0" {
		t.Fatalf("name %q, %v", name, err)
	}
	if mtu, err := dev.MTU(); err != nil || mtu != 1380 {
		t.Fatalf("MTU %d, %v", mtu, err)
	}
	if _, err := Open("mh-test0", 1380); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("second open: %v", err)
	}
	if _, err := Open("lo", 1380); !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "no TUN") {
		t.Fatalf("open of lo: %v", err)
	}
}

func TestOpenExtremeMTU(t *testing.T) {
	ownNetns(t)
	for _, mtu := range []int{minMTU, maxMTU} {
		dev, err := Open("mh-test0", mtu)
		if err != nil {
			t.Fatal(err)
		}
		if err := dev.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenWithoutRights(t *testing.T) {
	ownNetns(t)
	// Effective capabilities are the thread's, and the thread ends with the test.
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&hdr, &none[0]); err != nil {
		t.Fatal(err)
	}
	_, err := Open("mh-test0", 1380)
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Fatalf("got %v", err)
	}
}

func TestFromFD(t *testing.T) {
	ownNetns(t)
	fd, err := unix.Open(cloneDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ifr, err := unix.NewIfreq("mh-test1")
	if err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		t.Fatal(err)
	}
	dev, err := FromFD(fd, 1280)
	if err != nil {
		t.Fatal(err)
	}
	if name, err := dev.Name(); err != nil || name != "mh-test1" {
		t.Fatalf("name %q, %v", name, err)
	}
	if mtu, err := dev.MTU(); err != nil || mtu != 1280 {
		t.Fatalf("MTU %d, %v", mtu, err)
	}
	if d, ok := dev.(interface{ Unwrap() wgtun.Device }); !ok {
		t.Fatal("the router cannot see what device it is")
	} else if _, ok := d.Unwrap().(*wgtun.NativeTun); !ok {
		t.Fatalf("the device is a %T", d.Unwrap())
	}
	if err := dev.Close(); err != nil {
		t.Fatal(err)
	}
	if isOpen(fd) {
		t.Fatal("the descriptor is open after Close")
	}
}

func TestFromFDRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		mtu  int
		want string
	}{
		{"no TUN", 1280, "not a TUN"},
		{"MTU", 0, "MTU"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(p[1])
			if _, err := FromFD(p[0], tt.mtu); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v", err)
			}
			if isOpen(p[0]) {
				t.Fatal("the descriptor is still open")
			}
		})
	}
	if _, err := FromFD(-1, 1280); err == nil {
		t.Fatal("-1 accepted")
	}
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}
