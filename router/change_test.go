package router

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"multihop/internal/memnet"
)

// uapiOf returns the UAPI's answer for a hop.
func (l *lab) uapiOf(hop string) string {
	l.t.Helper()
	var b strings.Builder
	must(l.t, l.r.UAPI(hop, &b))
	return b.String()
}

// TestChangeInPlace: a change that needs no new device makes none, costs no
// session, neither the hop's nor that of one that it carries, and is in force
// when Apply returns.
func TestChangeInPlace(t *testing.T) {
	spare := fixedKey(9).Public()
	for _, tt := range []struct {
		name   string
		change func(*Config)
		check  func(t *testing.T, l *lab)
	}{
		{"MTU of the carrier", func(c *Config) { c.Hops[0].MTU = 1400 }, func(t *testing.T, l *lab) {
			if a, b := l.hop("entry").MTU, l.hop("exit").MTU; a != 1400 || b != 1340 {
				t.Errorf("MTUs %d and %d", a, b)
			}
		}},
		{"a larger MTU", func(c *Config) { c.Hops[0].MTU = 1440 }, func(t *testing.T, l *lab) {
			if a, b := l.hop("entry").MTU, l.hop("exit").MTU; a != 1440 || b != 1380 {
				t.Errorf("MTUs %d and %d", a, b)
			}
		}},
		{"keepalive", func(c *Config) { c.Hops[1].Peers[0].Keepalive = 7 * time.Second }, func(t *testing.T, l *lab) {
			if !strings.Contains(l.uapiOf("exit"), "persistent_keepalive_interval=7\n") {
				t.Error(l.uapiOf("exit"))
			}
		}},
		{"AllowedIPs", func(c *Config) {
			c.Hops[1].Peers[0].AllowedIPs = []netip.Prefix{farNet, farNet6}
		}, func(t *testing.T, l *lab) {
			if u := l.uapiOf("exit"); strings.Contains(u, "allowed_ip=0.0.0.0/0") || !strings.Contains(u, "allowed_ip="+farNet.String()) {
				t.Error(u)
			}
		}},
		{"a second peer, and it takes a prefix", func(c *Config) {
			c.Hops[1].Peers = append(c.Hops[1].Peers, Peer{PublicKey: spare, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("198.51.100.128/25")}})
		}, func(t *testing.T, l *lab) {
			if !strings.Contains(l.uapiOf("exit"), spare.hex()) || len(l.hop("exit").Peers) != 2 {
				t.Error(l.uapiOf("exit"))
			}
			before := decapsulated(l.exit, netip.MustParseAddr("198.51.100.200"))
			l.exchange(netip.MustParseAddr("198.51.100.200"), 100*time.Millisecond)
			if decapsulated(l.exit, netip.MustParseAddr("198.51.100.200")) != before {
				t.Error("the first peer got what is the second's")
			}
			l.cfg.Hops[1].Peers = l.cfg.Hops[1].Peers[:1]
			l.apply()
			if strings.Contains(l.uapiOf("exit"), spare.hex()) || len(l.hop("exit").Peers) != 1 {
				t.Error(l.uapiOf("exit"))
			}
			if _, ok := l.exchange(netip.MustParseAddr("198.51.100.200"), 5*time.Second); !ok {
				t.Error("its prefix did not come back")
			}
		}},
		{"the order of peers", func(c *Config) {
			c.Hops[1].Peers = append([]Peer{{PublicKey: spare, AllowedIPs: everything}}, c.Hops[1].Peers...)
		}, nil},
		{"mark", func(c *Config) { c.Hops[0].FwMark = 0x1234 }, func(t *testing.T, l *lab) {
			if !strings.Contains(l.uapiOf("entry"), "fwmark=4660\n") {
				t.Error(l.uapiOf("entry"))
			}
		}},
		{"listen port of the carrier", func(c *Config) { c.Hops[0].ListenPort = 40001 }, func(t *testing.T, l *lab) {
			if p := l.hop("entry").ListenPort; p != 40001 {
				t.Errorf("port %d", p)
			}
		}},
		{"listen port of the link", func(c *Config) { c.Hops[1].ListenPort = 30001 }, func(t *testing.T, l *lab) {
			if p := l.hop("exit").ListenPort; p != 30001 {
				t.Errorf("port %d", p)
			}
		}},
		{"its link may fragment", func(c *Config) { c.Hops[1].Fragment, c.Hops[0].MTU = true, 1300 }, func(t *testing.T, l *lab) {
			if h := l.hop("exit"); h.MTU != 1280 || h.Fragments != 2 {
				t.Errorf("%+v", h)
			}
		}},
		{"another carrier", func(c *Config) { c.Hops[1].Via = "sibling" }, func(t *testing.T, l *lab) {
			if h := l.hop("exit"); h.Via != "sibling" {
				t.Errorf("%+v", h)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, nil)
			l.start()
			far, near := farNet.Addr().Next(), nearNet.Addr().Next()
			for _, a := range []netip.Addr{far, near} {
				if _, ok := l.exchange(a, 10*time.Second); !ok {
					t.Fatalf("no path to %v", a)
				}
			}
			devices := func() (d []any) {
				for _, h := range l.cfg.Hops {
					d = append(d, l.r.table.Load().hop(h.Name).port.Load().dev)
				}
				return d
			}
			before, entry, exit := devices(), countHandshakes(l.entry), countHandshakes(l.exit)
			before0 := l.cfg.Hops[1].Peers
			l.cfg.Hops[1].Peers = slices.Clone(before0)
			tt.change(&l.cfg)
			l.apply()
			if tt.check != nil {
				tt.check(t, l)
			}
			for _, a := range []netip.Addr{far, near} {
				if _, ok := l.exchange(a, 10*time.Second); !ok {
					t.Fatalf("no path to %v afterwards", a)
				}
			}
			if !slices.Equal(before, devices()) {
				t.Error("a device was replaced")
			}
			if a, b := entry.Load(), exit.Load(); a != 0 || b != 0 {
				t.Errorf("handshake messages: entry %d, exit %d", a, b)
			}
		})
	}
}

// TestChangeEndpoint: the server answers at two addresses; the session moves from
// one to the other.
func TestChangeEndpoint(t *testing.T) {
	l := newLab(t, nil)
	two := []netip.Addr{netip.MustParseAddr("192.0.2.40"), netip.MustParseAddr("2001:db8:40::1")}
	relay, err := l.net.NewRelay("two", two, &memnet.RelayOptions{MTU: 1400})
	must(t, err)
	must(t, relay.Start())
	t.Cleanup(relay.Stop)
	key := NewPrivateKey()
	inside := addrs("10.4.0.2", "fd04::2")
	must(t, relay.Add(memnet.Client{PublicKey: key.Public(), Addrs: inside, AllowedIPs: everything}))
	l.cfg.Hops[1] = Hop{Name: "exit", Via: "entry", PrivateKey: key, Addrs: inside, Peers: []Peer{{
		PublicKey: relay.PublicKey(), Endpoint: relay.Endpoint().String(), AllowedIPs: everything,
	}}}
	l.start()
	far := farNet.Addr().Next()
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	n := countHandshakes(relay)
	l.cfg.Hops[0].MTU = 1440 // or IPv6 would have less than it needs
	l.cfg.Hops[1].Peers[0].Endpoint = netip.AddrPortFrom(two[1], 51820).String()
	l.apply()
	if p := l.hop("exit").Peers[0]; p.Endpoint != netip.AddrPortFrom(two[1], 51820).String() && p.Endpoint != relay.Endpoint().String() {
		t.Errorf("%+v", p)
	}
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path at the new address")
	}
	if n.Load() != 0 {
		t.Errorf("%d handshake messages", n.Load())
	}
	if decapsulated(l.entry, two[1]) == 0 {
		t.Error("nothing went to the new address")
	}
}

// TestChangeKeys: a new key, private or preshared, makes a handshake at once,
// with no packet waiting; what the hop carries keeps its session.
func TestChangeKeys(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, l *lab)
	}{
		{"private", func(t *testing.T, l *lab) {
			key := NewPrivateKey()
			must(t, l.entry.Add(memnet.Client{PublicKey: key.Public(), PresharedKey: l.cfg.Hops[0].Peers[0].PresharedKey, Addrs: l.cfg.Hops[0].Addrs, AllowedIPs: everything}))
			l.cfg.Hops[0].PrivateKey = key
		}},
		{"preshared", func(t *testing.T, l *lab) {
			psk := NewPresharedKey()
			must(t, l.entry.Add(memnet.Client{PublicKey: l.cfg.Hops[0].PrivateKey.Public(), PresharedKey: psk, Addrs: l.cfg.Hops[0].Addrs, AllowedIPs: everything}))
			l.cfg.Hops[0].Peers[0].PresharedKey = psk
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, nil)
			l.start()
			far := farNet.Addr().Next()
			if _, ok := l.exchange(far, 10*time.Second); !ok {
				t.Fatal("no path")
			}
			time.Sleep(100 * time.Millisecond) // a peer takes no two initiations within 20 ms
			entry, exit := countHandshakes(l.entry), countHandshakes(l.exit)
			tt.change(t, l)
			l.apply()
			eventually(t, 3*time.Second, "a handshake, at once", func() bool { return entry.Load() > 0 })
			if _, ok := l.exchange(far, 4*time.Second); !ok { // the next try would be after 5
				t.Fatal("no path with the new key")
			}
			if n := exit.Load(); n != 0 {
				t.Errorf("%d handshake messages of the exit", n)
			}
		})
	}
}

// TestChangePortsInTurn: two hops change their ports in one Apply, to each
// other's.
func TestChangePortsInTurn(t *testing.T) {
	l := newLab(t, nil)
	l.cfg.Hops[1].ListenPort, l.cfg.Hops[2].ListenPort = 30001, 30002
	l.start()
	far := farNet.Addr().Next()
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	exit := countHandshakes(l.exit)
	l.cfg.Hops[1].ListenPort, l.cfg.Hops[2].ListenPort = 30002, 30001
	l.apply()
	if a, b := l.hop("exit").ListenPort, l.hop("sibling").ListenPort; a != 30002 || b != 30001 {
		t.Errorf("ports %d and %d", a, b)
	}
	if _, ok := l.exchange(far, 10*time.Second); !ok || exit.Load() != 0 {
		t.Fatalf("path: %v, handshake messages: %d", ok, exit.Load())
	}
}

// A pickyBind refuses one mark.
type pickyBind struct{ conn.Bind }

var errPicky = errors.New("13 brings bad luck")

func (b *pickyBind) SetMark(mark uint32) error {
	if mark == 13 {
		return errPicky
	}
	return b.Bind.SetMark(mark)
}

// TestChangeRefusedMark: a mark that the system refuses fails the Apply, and what
// it had changed before, a port, is undone.
func TestChangeRefusedMark(t *testing.T) {
	var l *lab
	l = newLab(t, &Options{Bind: func(string) conn.Bind { return &pickyBind{l.net.Bind(clientAddr, clientAddr6)} }})
	second := l.cfg.Hops[2]
	second.Name, second.Via, second.PrivateKey, second.Addrs = "second", "", NewPrivateKey(), addrs("10.9.0.2")
	l.cfg.Hops = append(l.cfg.Hops, second)
	l.start()
	far := farNet.Addr().Next()
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	entry, port := countHandshakes(l.entry), l.hop("entry").ListenPort
	l.cfg.Hops[0].ListenPort, l.cfg.Hops[0].FwMark, l.cfg.Hops[3].FwMark = 40005, 7, 13
	p, err := Compile(l.cfg)
	must(t, err)
	if err := l.r.Apply(t.Context(), p); !errors.Is(err, errPicky) {
		t.Fatalf("error %v", err)
	}
	if h := l.hop("entry"); h.ListenPort != port || h.Down || strings.Contains(l.uapiOf("entry"), "fwmark") {
		t.Errorf("%+v\n%s", h, l.uapiOf("entry"))
	}
	if _, ok := l.exchange(far, 10*time.Second); !ok || entry.Load() != 0 {
		t.Errorf("path: %v, handshake messages: %d", ok, entry.Load())
	}
}
