package host

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

var errFault = errors.New("injected")

// faults fails the call number at, or with all every call from there on.
type faults struct {
	at, calls int
	all       bool
	failed    string // the first call that was failed
}

func (f *faults) fault(call string) error {
	f.calls++
	if f.calls != f.at && !(f.all && f.calls > f.at) {
		return nil
	}
	if f.failed == "" {
		f.failed = call
	}
	return errFault
}

// eachFault runs try with the first call to the operating system failing, then
// with the second, until try gets through without a failure.
func eachFault(t *testing.T, all bool, try func(f *faults)) {
	t.Helper()
	for at := 1; ; at++ {
		f := &faults{at: at, all: all}
		try(f)
		if t.Failed() {
			t.Fatalf("when call %d failed: %s", at, f.failed)
		}
		if f.failed == "" {
			t.Logf("%d calls", f.calls)
			if f.calls < 10 {
				t.Errorf("no more than %d calls were made", f.calls)
			}
			return
		}
	}
}

// faultyConfig makes every kind of change.
func faultyConfig() Config {
	c := fullConfig()
	c.DNS.Servers = []netip.Addr{netip.MustParseAddr("10.20.0.53")}
	c.Routes = append(c.Routes, Route{Prefix: netip.MustParsePrefix("10.30.0.0/16"), Reject: true})
	return c
}

// toldAll is told, and the host's resolvers.
func toldAll(t *testing.T, h *Host) string {
	t.Helper()
	b, err := os.ReadFile(h.k.dns.Root + "/etc/resolv.conf")
	must(t, err)
	return told(t) + string(b)
}

func same(t *testing.T, h *Host, before string) {
	t.Helper()
	diffStates(t, before, toldAll(t, h))
}

func needTools(t *testing.T) {
	t.Helper()
	tool(t, "ip", "iproute2")
	tool(t, "nft", "nftables")
}

// Whatever fails on the way up, everything is as it was before.
func TestApplyFails(t *testing.T) {
	needTools(t)
	newHost(t)
	root := dnsRoot(t)
	eachFault(t, false, func(f *faults) {
		h := openHost(t, t.TempDir())
		h.k.dns.Root = root
		before := toldAll(t, h)
		h.k.fault = f.fault
		c := faultyConfig()
		err := h.Choose(&c)
		if err == nil {
			_, err = h.Apply(t.Context(), c)
		}
		h.k.fault = nil
		if f.failed == "" {
			must(t, err)
			must(t, h.Close())
		} else if !errors.Is(err, errFault) {
			t.Errorf("Apply: %v", err)
		}
		same(t, h, before)
		if len(h.journal.Changes) > 0 {
			t.Errorf("journal: %v", h.journal.Changes)
		}
		must(t, h.Release())
	})
}

// When what was done cannot be undone either, the kill switch stands, and Clean
// undoes the rest later.
func TestApplyFailsForGood(t *testing.T) {
	needTools(t)
	newHost(t)
	root := dnsRoot(t)
	eachFault(t, true, func(f *faults) {
		h := openHost(t, t.TempDir())
		h.k.dns.Root = root
		before := toldAll(t, h)
		c := faultyConfig()
		must(t, h.Choose(&c))
		h.k.fault = f.fault
		_, err := h.Apply(t.Context(), c)
		h.k.fault = nil
		if f.failed != "" && !errors.Is(err, errFault) {
			t.Errorf("Apply: %v", err)
		}
		if now := toldAll(t, h); now != before && !strings.Contains(now, "policy drop") {
			t.Error("something was changed, and there is no kill switch")
		}
		next := openHost(t, h.k.dir)
		next.k.dns = h.k.dns
		must(t, h.Release())
		must(t, next.Close()) // as Clean does
		same(t, h, before)
	})
}

// Whatever fails at a change of the configuration, the one before stays.
func TestReloadFails(t *testing.T) {
	needTools(t)
	tests := []struct {
		name     string
		from, to func() Config
	}{
		{"to everything", splitConfig, faultyConfig},
		{"from everything", faultyConfig, splitConfig},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			newHost(t)
			h := openHost(t, t.TempDir())
			root := toldAll(t, h)
			apply(t, h, tt.from())
			before := toldAll(t, h)
			eachFault(t, false, func(f *faults) {
				c := tt.to()
				must(t, h.Choose(&c))
				h.k.fault = f.fault
				_, err := h.Apply(t.Context(), c)
				h.k.fault = nil
				if f.failed == "" {
					must(t, err)
					return
				}
				if !errors.Is(err, errFault) {
					t.Errorf("Apply: %v", err)
				}
				same(t, h, before)
			})
			must(t, h.Close())
			same(t, h, root)
		})
	}
}

// Whatever fails when a new process takes over what a crash left, that stays:
// closed.
func TestAdoptionFails(t *testing.T) {
	needTools(t)
	newHost(t)
	first := openHost(t, t.TempDir())
	root := toldAll(t, first)
	apply(t, first, faultyConfig())
	die(t, first)
	addTUN(t, "mh0")
	crashed := toldAll(t, first)
	eachFault(t, false, func(f *faults) {
		h := openHost(t, first.k.dir)
		h.k.dns = first.k.dns
		h.k.fault = f.fault
		c := faultyConfig()
		err := h.Choose(&c)
		if err == nil {
			_, err = h.Apply(t.Context(), c)
		}
		h.k.fault = nil
		if f.failed == "" {
			must(t, err)
			must(t, h.Close())
			return
		}
		if !errors.Is(err, errFault) {
			t.Errorf("Apply: %v", err)
		}
		same(t, h, crashed)
		must(t, h.Release())
	})
	same(t, first, root)
}

// Whatever cannot be undone at the end, the kill switch stays, and a second try
// finishes.
func TestCloseFails(t *testing.T) {
	needTools(t)
	newHost(t)
	root := dnsRoot(t)
	eachFault(t, false, func(f *faults) {
		h := openHost(t, t.TempDir())
		h.k.dns.Root = root
		before := toldAll(t, h)
		apply(t, h, faultyConfig())
		h.k.fault = f.fault
		err := h.Close()
		h.k.fault = nil
		if f.failed != "" {
			if !errors.Is(err, errFault) {
				t.Errorf("Close: %v", err)
			}
			if !strings.Contains(told(t), "policy drop") && !strings.Contains(f.failed, "DNS") &&
				f.failed != "remove firewall" && f.failed != "write journal" {
				t.Error("the kill switch is gone")
			}
			must(t, h.Close())
		}
		same(t, h, before)
	})
}

// die does what kill -9 of h's process does: sockets close, the TUN vanishes.
func die(t *testing.T, h *Host) {
	t.Helper()
	must(t, h.Release())
	must(t, netlink.LinkDel(link(t, "mh0")))
}
