package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// An Instance is a running `multihop run` on the client.
type Instance struct {
	*netlab.Process
	Name string // of the TUN

	net *Network
}

// A Chain is the arguments of `multihop run`.
type Chain struct {
	Entry, Exit *Conf
	Inner       []*Conf  // hops inside Exit, carriers first; in most tests none
	Routes      []string // values of --route
	TableOff    bool     // --table off
	Fragment    bool     // --fragment
}

// Run starts the chain and returns once it answers `multihop show`. The
// process is asked to end with the test, and has to; if the test fails, its
// output is logged.
func (n *Network) Run(tb testing.TB, c Chain) *Instance {
	tb.Helper()
	i := n.Launch(tb, n.Unique("m"), c)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := i.Status(); err == nil {
			return i
		} else if i.Exited() || time.Now().After(end) {
			tb.Fatalf("multihop run is not up: %v; its output:\n%s", err, i.Output())
		}
	}
}

// Launch starts the chain with a TUN called name and does not wait for
// anything.
func (n *Network) Launch(tb testing.TB, name string, c Chain) *Instance {
	tb.Helper()
	i := &Instance{Name: name, net: n}
	dir := tb.TempDir()
	args := []string{
		"run", "-v", "--name", i.Name, // verbose: for failures, and what it logs is tested, too
		c.Entry.Write(tb, dir, "entry.conf"), c.Exit.Write(tb, dir, "exit.conf"),
	}
	for k, inner := range c.Inner {
		args = append(args, inner.Write(tb, dir, fmt.Sprintf("inner%d.conf", k)))
	}
	for _, r := range c.Routes {
		args = append(args, "--route", r)
	}
	if c.TableOff {
		args = append(args, "--table", "off")
	}
	if c.Fragment {
		args = append(args, "--fragment")
	}
	i.Process = n.Client.Start(tb, nil, n.Programs.Multihop, args...)
	tb.Cleanup(func() {
		if !i.Exited() {
			if err := i.Stop(); err != nil {
				tb.Errorf("multihop run, asked to end: %v", err)
			}
		}
		if strings.Contains(i.Output(), "WARNING: DATA RACE") || strings.Contains(i.Output(), "panic:") {
			tb.Error("multihop reported a data race or a panic")
		}
		if tb.Failed() {
			tb.Logf("output of multihop run:\n%s", i.Output())
		}
	})
	return i
}

// Multihop runs a command of the binary on the client to its end.
func (n *Network) Multihop(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return n.Client.Run(ctx, n.Programs.Multihop, args...)
}

// A Status is what the tests need of `multihop show --json`.
type Status struct {
	TUN   string            `json:"tun"`
	Addrs []netip.Addr      `json:"addrs"`
	MTU   int               `json:"mtu"`
	Hops  []HopStatus       `json:"hops"`
	Drops map[string]uint64 `json:"drops"`
	Read  uint64            `json:"read"`  // packets read from the TUN
	Wrote uint64            `json:"wrote"` // and written to it
}

// A HopStatus is one hop of a Status.
type HopStatus struct {
	Name       string            `json:"name"`
	Via        string            `json:"via"`
	Down       bool              `json:"down"`
	PublicKey  string            `json:"public_key"`
	ListenPort uint16            `json:"listen_port"`
	Addrs      []netip.Addr      `json:"addrs"`
	MTU        int               `json:"mtu"`
	Peers      []PeerStatus      `json:"peers"`
	Out        uint64            `json:"out"`
	In         uint64            `json:"in"`
	Carried    uint64            `json:"carried"`
	Drops      map[string]uint64 `json:"drops"`
}

// A PeerStatus is a peer of a HopStatus.
type PeerStatus struct {
	PublicKey       string         `json:"public_key"`
	Preshared       bool           `json:"preshared"`
	Endpoint        string         `json:"endpoint"`
	AllowedIPs      []netip.Prefix `json:"allowed_ips"`
	LatestHandshake time.Time      `json:"latest_handshake"`
	RxBytes         uint64         `json:"rx_bytes"`
	TxBytes         uint64         `json:"tx_bytes"`
	Keepalive       time.Duration  `json:"keepalive"`
}

// Status is what `multihop show --json` says of the instance.
func (i *Instance) Status() (*Status, error) {
	out, err := i.net.Multihop("show", "--json", i.Name)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	s := new(Status)
	if err := json.Unmarshal([]byte(out), s); err != nil {
		return nil, fmt.Errorf("show --json: %w\n%s", err, out)
	}
	return s, nil
}

// Hop is the status of one hop; the test fails if there is none.
func (i *Instance) Hop(tb testing.TB, name string) *HopStatus {
	tb.Helper()
	s, err := i.Status()
	if err != nil {
		tb.Fatal(err)
	}
	for k := range s.Hops {
		if s.Hops[k].Name == name {
			return &s.Hops[k]
		}
	}
	tb.Fatalf("show --json has no hop %q", name)
	return nil
}
