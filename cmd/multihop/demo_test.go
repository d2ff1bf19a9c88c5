package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"multihop/internal/memnet"
	"multihop/packet"
	"multihop/router"
)

// runDemo runs "multihop demo" with a router that is configured wrong, if
// misconfigure is not nil.
func runDemo(t *testing.T, timeout time.Duration, misconfigure func(*router.Config)) (string, error) {
	t.Helper()
	d := &demo{size: 1 << 20, span: 500 * time.Millisecond, timeout: timeout, misconfigure: misconfigure}
	var out bytes.Buffer
	root := newRootCommand()
	for _, c := range root.Commands() {
		if c.Name() == "demo" {
			root.RemoveCommand(c)
		}
	}
	root.AddCommand(d.command())
	root.SetArgs([]string{"demo"})
	root.SetOut(&out)
	err := root.ExecuteContext(t.Context())
	t.Logf("%s%v", out.String(), err)
	return out.String(), err
}

func TestDemo(t *testing.T) {
	defer goleak.VerifyNone(t)
	out, err := runDemo(t, 20*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	fields := func(site string) []string {
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, site) {
				return strings.Fields(line)
			}
		}
		return nil
	}
	if f := fields("site-a"); len(f) < 4 || !slices.Equal(f[1:4], []string{"203.0.113.1", "entry", "10.1.0.2"}) {
		t.Errorf("site-a: %q", f)
	}
	if f := fields("site-b"); len(f) < 6 || !slices.Equal(f[1:6], []string{"203.0.113.129", "entry", ">", "exit", "10.2.0.2"}) {
		t.Errorf("site-b: %q", f)
	}
	if !strings.Contains(out, "proven: each site") {
		t.Error("it does not say that it is proven")
	}
}

// A broken is an output that refuses everything.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestDemoFails: a demo that nobody could read, or that was interrupted, has
// proven nothing.
func TestDemoFails(t *testing.T) {
	tests := []struct {
		name  string
		out   io.Writer
		after time.Duration // of the interruption; 0: none
		want  string
	}{
		{"output", broken{}, 0, "demo: no space left"},
		{"interrupted at once", io.Discard, time.Nanosecond, "demo: interrupted"},
		{"interrupted", io.Discard, 300 * time.Millisecond, "demo: interrupted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			d := &demo{size: 1 << 16, span: time.Second, timeout: 20 * time.Second}
			if tt.after > 0 {
				d.size = 1 << 30
				time.AfterFunc(tt.after, cancel)
			}
			cmd := d.command()
			cmd.SetArgs(nil)
			cmd.SetOut(tt.out)
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			if err := cmd.ExecuteContext(ctx); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestDemoDisproves: a router that translates nothing, or routes wrong, fails
// the demo. Translation is the identity where a hop's tunnel address is the
// TUN's own: so the same data path runs, and the TUN's address gets out.
func TestDemoDisproves(t *testing.T) {
	const app = "172.16.0.1"
	untranslated := func(hop int) func(*router.Config) {
		return func(cfg *router.Config) { cfg.Hops[hop].Addrs = slices.Clone(cfg.Addrs) }
	}
	routes := func(hops ...string) func(*router.Config) {
		return func(cfg *router.Config) {
			for i, h := range hops {
				cfg.Routes[i].Hop = h
			}
		}
	}
	tests := []struct {
		name         string
		misconfigure func(*router.Config)
		timeout      time.Duration
		want         []string
	}{
		{"no SNAT at the exit", untranslated(1), 3 * time.Second, []string{
			"site-b: ",
			"site-b saw packets from " + app + ", not 10.2.0.2",
			"site-b saw nothing from 10.2.0.2",
			"exit decapsulated TCP from " + app,
		}},
		{"no SNAT at the entry", untranslated(0), 3 * time.Second, []string{
			"site-a: ",
			"site-a saw packets from " + app + ", not 10.1.0.2",
			"entry decapsulated TCP from " + app,
			"entry decapsulated UDP from " + app,
		}},
		{"routes swapped", routes("exit", "entry"), 20 * time.Second, []string{
			"site-a saw packets from 10.2.0.2, not 10.1.0.2",
			"site-b saw packets from 10.1.0.2, not 10.2.0.2",
			"entry decapsulated TCP from 10.1.0.2 to 203.0.113.129:80",
		}},
		{"both through the entry", routes("entry", "entry"), 20 * time.Second, []string{
			"site-b saw packets from 10.1.0.2, not 10.2.0.2",
			"exit decapsulated no TCP",
		}},
		{"both through the exit", routes("exit", "exit"), 20 * time.Second, []string{
			"site-a saw packets from 10.2.0.2, not 10.1.0.2",
			"entry decapsulated no TCP",
		}},
		{"no route", routes("entry", ""), 3 * time.Second, []string{
			"site-b: ",
			"site-b saw nothing",
		}},
		{"the exit not in the entry", func(cfg *router.Config) { cfg.Hops[1].Via = "" }, 20 * time.Second, []string{
			"entry decapsulated no UDP from 10.1.0.2 to 198.51.100.20:51820",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			out, err := runDemo(t, tt.timeout, tt.misconfigure)
			if err == nil {
				t.Fatal("proven")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error does not say %q", w)
				}
			}
			if strings.Contains(out, "proven: each site") {
				t.Error("it says that it is proven")
			}
		})
	}
}

// TestProve: every single observation that is missing or wrong counts.
func TestProve(t *testing.T) {
	w, err := newDemoNet()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	siteA := netip.AddrPortFrom(w.sites[0].addr, 80)
	siteB := netip.AddrPortFrom(w.sites[1].addr, 80)
	entry, exit := w.relays[0], w.relays[1]
	toA := entry.to(packet.ProtoTCP, siteA)
	toExit := entry.to(packet.ProtoUDP, exit.relay.Endpoint())
	toB := exit.to(packet.ProtoTCP, siteB)
	tests := []struct {
		name  string
		spoil func(o observed)
		want  string // "": proven
	}{
		{"as routed", func(observed) {}, ""},
		{"entry carried no site", func(o observed) { delete(o.relays["entry"], toA) }, "not proven"},
		{"entry carried no exit", func(o observed) { delete(o.relays["entry"], toExit) }, "not proven"},
		{"exit carried nothing", func(o observed) { delete(o.relays, "exit") }, "not proven"},
		{"site-a saw nothing", func(o observed) { delete(o.sites, "site-a") }, "not proven"},
		{"site-b saw nothing", func(o observed) { delete(o.sites["site-b"], exit.tunnel) }, "not proven"},
		{"entry saw the inner traffic", func(o observed) { o.relays["entry"][entry.to(packet.ProtoTCP, siteB)] = 1 }, "disproven"},
		{"entry saw the exit's address", func(o observed) { o.relays["entry"][toB] = 1 }, "disproven"},
		{"entry saw the TUN's address", func(o observed) {
			o.relays["entry"][memnet.Flow{Proto: packet.ProtoTCP, Src: w.app, Dst: siteA}] = 1
		}, "disproven"},
		{"exit saw the outer traffic", func(o observed) { o.relays["exit"][exit.to(packet.ProtoTCP, siteA)] = 1 }, "disproven"},
		{"another port of the exit", func(o observed) {
			o.relays["entry"][entry.to(packet.ProtoUDP, netip.AddrPortFrom(exit.relay.Endpoint().Addr(), 53))] = 1
		}, "disproven"},
		{"something malformed", func(o observed) { o.relays["exit"][memnet.Flow{}] = 1 }, "disproven"},
		{"site-a saw the exit", func(o observed) { o.sites["site-a"][exit.tunnel] = 1 }, "disproven"},
		{"site-b saw the TUN's address", func(o observed) { o.sites["site-b"][w.app] = 1 }, "disproven"},
		{"site-b saw the client", func(o observed) { o.sites["site-b"][w.client] = 1 }, "disproven"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := observed{
				relays: map[string]map[memnet.Flow]uint64{"entry": {toA: 9, toExit: 9}, "exit": {toB: 9}},
				sites:  map[string]map[netip.Addr]uint64{"site-a": {entry.tunnel: 9}, "site-b": {exit.tunnel: 9}},
			}
			tt.spoil(o)
			err := o.prove(w)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
		})
	}
}
