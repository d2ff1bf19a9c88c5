package resolv

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// A resolv.conf that cannot be renamed is written in place.
func TestInPlace(t *testing.T) {
	if !inside(t) {
		return
	}
	setup(t)
	run(t, "ip", "tuntap", "add", "mh0", "mode", "tun")
	readOnly := func(t *testing.T) {
		mount(t, "tmpfs", "/etc", "tmpfs", "")
		if err := os.Symlink("../run/theirs/resolv.conf", resolvConf); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("", "/etc", "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
	}
	bound := func(t *testing.T) {
		if err := os.Remove(resolvConf); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err := os.WriteFile(resolvConf, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		bind(t, "/run/theirs/resolv.conf", resolvConf)
	}
	tests := []struct {
		name    string
		make    func(t *testing.T)
		unmount string
	}{
		{"mount point", bound, resolvConf},
		{"link in a read-only folder", readOnly, "/etc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := real(t)
			h.write("/run/theirs/resolv.conf", "# theirs\n"+lan)
			tt.make(t)
			defer func() {
				if err := unix.Unmount(tt.unmount, 0); err != nil {
					t.Error(err)
				}
			}()
			before := tree(t, "/etc", "/run/theirs")
			r := h.up(settings("mh0", "10.64.0.1"))
			if got := h.seen(); got != "10.64.0.1" {
				t.Errorf("programs see %s", got)
			}
			if b, _ := os.ReadFile("/run/theirs/resolv.conf"); !strings.HasPrefix(string(b), headline) {
				t.Errorf("it was not written in place: %s", b)
			}
			h.intact(r, true)
			h.write("/run/theirs/resolv.conf", "# theirs\n"+lan)
			next := h.intact(r, false)
			if _, err := h.Apply(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			h.intact(next, true)
			h.down(next)
			if diff := cmp.Diff(before, tree(t, "/etc", "/run/theirs")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}

			h.up(settings("mh0", "10.64.0.1"))
			h.write("/run/theirs/resolv.conf", head("mh0")[:20]) // a crash
			h.down(r)
			if diff := cmp.Diff(before, tree(t, "/etc", "/run/theirs")); diff != "" {
				t.Errorf("after a crash: (-want +got)\n%s", diff)
			}
		})
	}
}

// Nobody's will is broken: an immutable file is an error that says so.
func TestImmutable(t *testing.T) {
	if !inside(t) {
		return
	}
	setup(t)
	run(t, "ip", "tuntap", "add", "mh0", "mode", "tun")
	mount(t, "tmpfs", "/etc", "tmpfs", "")
	h := real(t)
	h.write(resolvConf, lan)
	before := tree(t, "/etc")
	immutable(t, true)
	r, err := h.Prepare(t.Context(), settings("mh0", "10.64.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Apply(t.Context(), r); err == nil || !strings.Contains(err.Error(), "immutable") {
		t.Errorf("%v; programs see %s", err, h.seen())
	}
	h.down(r)
	immutable(t, false)
	if diff := cmp.Diff(before, tree(t, "/etc")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// immutable does what chattr +i and -i do.
func immutable(t *testing.T, on bool) {
	t.Helper()
	f, err := os.Open(resolvConf)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flags := 0
	if on {
		flags = 0x10 // FS_IMMUTABLE_FL of linux/fs.h
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags); err != nil {
		t.Fatal(err)
	}
}
