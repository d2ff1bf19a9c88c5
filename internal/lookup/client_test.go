package lookup

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("golang.zx2c4.com/wireguard/device.(*Device).RoutineTUNEventReader"))
}

// client asks the servers, impatiently, and no hosts file.
func client(servers ...*server) *Client {
	c := &Client{Hosts: os.DevNull, Timeout: 200 * time.Millisecond, Tries: 2}
	for _, s := range servers {
		c.Servers = append(c.Servers, s.addr)
	}
	_, c.DialTCP = Marked(0)
	return c
}

func TestLookup(t *testing.T) {
	both := addrs("192.0.2.1", "2001:db8::1")
	onlyA := func(q query) [][]byte {
		if q.q.Type == dnsmessage.TypeAAAA {
			return [][]byte{message(q, nil)}
		}
		return host(q)
	}
	tests := []struct {
		name    string
		servers []reply
		want    []netip.Addr
		ttl     time.Duration
		err     string // part of it
	}{
		{"both families", []reply{host}, both, 60 * time.Second, ""},
		{"one family", []reply{onlyA}, both[:1], 300 * time.Second, ""},
		{"one family answers NXDOMAIN", []reply{func(q query) [][]byte { // RFC 4074, section 4.2
			if q.q.Type == dnsmessage.TypeAAAA {
				return code(dnsmessage.RCodeNameError)(q)
			}
			return host(q)
		}}, both[:1], 300 * time.Second, ""},
		{"one family is never answered", []reply{func(q query) [][]byte {
			if q.q.Type == dnsmessage.TypeAAAA {
				return nil
			}
			return host(q)
		}}, both[:1], 300 * time.Second, ""},
		{"a silent server first", []reply{silent, host}, both, 60 * time.Second, ""},
		{"a failing server first", []reply{code(dnsmessage.RCodeServerFailure), host}, both, 60 * time.Second, ""},
		{"a refusing server first", []reply{code(dnsmessage.RCodeRefused), host}, both, 60 * time.Second, ""},
		{"no such name", []reply{code(dnsmessage.RCodeNameError), host}, nil, 0, "no such name"},
		{"no address", []reply{func(q query) [][]byte { return [][]byte{message(q, nil)} }}, nil, 0, "no such name"},
		{"a filter's address", []reply{func(q query) [][]byte {
			return [][]byte{message(q, nil, record(q.q.Name.String(), "0.0.0.0", 1))}
		}}, nil, 0, "no such name"},
		{"nobody answers", []reply{silent, silent}, nil, 0, "no answer within 200ms"},
		{"nobody can", []reply{code(dnsmessage.RCodeServerFailure)}, nil, 0, "it said ServerFailure"},
		{"one family fails, the other has nothing", []reply{func(q query) [][]byte {
			if q.q.Type == dnsmessage.TypeA {
				return code(dnsmessage.RCodeServerFailure)(q)
			}
			return [][]byte{message(q, nil)}
		}}, nil, 0, "it said ServerFailure"},
		{"EDNS is unknown", []reply{func(q query) [][]byte {
			if q.edns {
				return [][]byte{message(q, func(m *dnsmessage.Message) {
					m.RCode, m.Questions = dnsmessage.RCodeFormatError, nil
				})}
			}
			return host(q)
		}}, both, 60 * time.Second, ""},
		{"everything is unknown", []reply{code(dnsmessage.RCodeNotImplemented)}, nil, 0, "did not understand"},
		{"garbage", []reply{func(q query) [][]byte {
			m := host(q)[0]
			return [][]byte{m[:len(m)-2]}
		}}, nil, 0, "malformed answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var servers []*server
			for _, f := range tt.servers {
				servers = append(servers, serve(t, f))
			}
			got, ttl, err := client(servers...).Lookup(t.Context(), "vpn.example.com")
			if !slices.Equal(got, tt.want) || ttl != tt.ttl {
				t.Errorf("got %v for %v, want %v for %v", got, ttl, tt.want, tt.ttl)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if errors.Is(err, ErrNotFound) != (tt.err == "no such name") {
				t.Errorf("error %v: is ErrNotFound: %v", err, errors.Is(err, ErrNotFound))
			}
		})
	}
}

// Datagrams that are not the answer are passed over, and the answer after them
// is taken; alone they are never taken.
func TestForgedAnswers(t *testing.T) {
	forged := func(q query, edit func(*dnsmessage.Message)) []byte {
		return message(q, edit, record("vpn.example.com.", "203.0.113.66", 1))
	}
	tests := []struct {
		name string
		edit func(*dnsmessage.Message)
	}{
		{"another identifier", func(m *dnsmessage.Message) { m.ID++ }},
		{"not a response", func(m *dnsmessage.Message) { m.Response = false }},
		{"another operation", func(m *dnsmessage.Message) { m.OpCode = 5 }},
		{"another name", func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("vpn.example.org.") }},
		{"another type", func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeMX }},
		{"another class", func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }},
		{"no question", func(m *dnsmessage.Message) { m.Questions = nil }},
		{"two questions", func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }},
	}
	detected := serve(t, func(q query) [][]byte { return [][]byte{forged(q, nil)} })
	if got, _, err := client(detected).Lookup(t.Context(), "vpn.example.com"); !slices.Equal(got, addrs("203.0.113.66")) {
		t.Fatalf("the forgery itself must be convincing: %v, %v", got, err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			alone := serve(t, func(q query) [][]byte { return [][]byte{forged(q, tt.edit)} })
			if got, _, err := client(alone).Lookup(t.Context(), "vpn.example.com"); err == nil {
				t.Errorf("taken: %v", got)
			}
			before := serve(t, func(q query) [][]byte {
				return append([][]byte{forged(q, tt.edit), {1, 2, 3}, nil}, host(q)...)
			})
			got, _, err := client(before).Lookup(t.Context(), "vpn.example.com")
			if want := addrs("192.0.2.1", "2001:db8::1"); !slices.Equal(got, want) {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		})
	}
}

// An answer from anywhere but the server is not taken.
func TestOtherSource(t *testing.T) {
	s := serve(t, silent)
	other := netip.AddrPortFrom(s.addr.Addr(), s.addr.Port()+1)
	for name, tt := range map[string]struct {
		from net.Addr
		want bool
	}{
		"the server":           {net.UDPAddrFromAddrPort(s.addr), true},
		"the server, mapped":   {&net.UDPAddr{IP: net.ParseIP("127.0.0.1").To16(), Port: int(s.addr.Port())}, true},
		"another port":         {net.UDPAddrFromAddrPort(other), false},
		"another address":      {&net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: int(s.addr.Port())}, false},
		"not a UDP address":    {&net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, false},
		"no address whatever":  {nil, false},
		"a nil UDP address":    {(*net.UDPAddr)(nil), false},
		"an empty UDP address": {&net.UDPAddr{}, false},
	} {
		if got := isFrom(tt.from, s.addr); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	local := netip.MustParseAddrPort("[fe80::1%eth0]:53")
	if !isFrom(&net.UDPAddr{IP: net.ParseIP("fe80::1"), Port: 53, Zone: "2"}, local) {
		t.Error("a zone that is written otherwise is refused")
	}
}

// Somebody who guesses has a bounded number of guesses a query.
func TestGuesses(t *testing.T) {
	s := serve(t, func(q query) [][]byte {
		var all [][]byte
		for i := range uint16(maxStrays) {
			wrong := q
			wrong.id += i + 1
			all = append(all, host(wrong)...)
		}
		return append(all, host(q)...)
	})
	c := client(s)
	c.Tries = 1
	if got, _, err := c.Lookup(t.Context(), "vpn.example.com"); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("got %v, %v", got, err)
	}
}

// Each query comes from a port of its own, with an identifier of its own.
func TestQueriesDiffer(t *testing.T) {
	s := serve(t, host)
	for range 20 {
		if _, _, err := client(s).Lookup(t.Context(), "vpn.example.com"); err != nil {
			t.Fatal(err)
		}
	}
	ports, ids := map[uint16]bool{}, map[uint16]bool{}
	n := s.count(func(q query) bool {
		ports[q.from.Port()], ids[q.id] = true, true
		return q.edns
	})
	if n != 40 || len(ports) < 30 || len(ids) < 30 { // chance may repeat a few
		t.Errorf("%d ports and %d identifiers for %d queries with EDNS", len(ports), len(ids), n)
	}
}

func TestTruncated(t *testing.T) {
	s := serve(t, func(q query) [][]byte {
		if q.tcp {
			return host(q)
		}
		return [][]byte{message(q, func(m *dnsmessage.Message) { m.Truncated = true },
			record(q.q.Name.String(), "192.0.2.99", 1))}
	})
	c := client(s)
	got, _, err := c.Lookup(t.Context(), "vpn.example.com")
	if want := addrs("192.0.2.1", "2001:db8::1"); !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if n := s.count(func(q query) bool { return q.tcp }); n != 2 {
		t.Errorf("%d questions over TCP, want 2", n)
	}
	c.DialTCP = nil
	if got, _, err := c.Lookup(t.Context(), "vpn.example.com"); !errors.Is(err, errTruncated) {
		t.Errorf("without TCP: %v, %v, want %v", got, err, errTruncated)
	}
}

// What needs no resolver asks none.
func TestNothingAsked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte("2001:db8::7 vpn.example.com\n192.0.2.7 VPN.example.com. # mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, host)
	c := client(s)
	c.Hosts = file
	for name, want := range map[string][]netip.Addr{
		"192.0.2.9":        addrs("192.0.2.9"),
		"2001:db8::9":      addrs("2001:db8::9"),
		"fe80::1%eth0":     addrs("fe80::1%eth0"),
		"::ffff:192.0.2.9": addrs("192.0.2.9"),
		"vpn.Example.com":  addrs("192.0.2.7", "2001:db8::7"),
		"vpn.example.com.": addrs("192.0.2.7", "2001:db8::7"),
	} {
		got, ttl, err := c.Lookup(t.Context(), name)
		if err != nil || !slices.Equal(got, want) || ttl != 0 {
			t.Errorf("%s: %v for %v, %v, want %v", name, got, ttl, err, want)
		}
	}
	for _, name := range []string{"", ".", "a..b", ".a", "a b", "ab\x00", "bücher.example",
		strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 126) + "ab"} {
		if got, _, err := c.Lookup(t.Context(), name); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v, %v, want an error about the name", name, got, err)
		}
	}
	if n := s.count(func(query) bool { return true }); n != 0 {
		t.Errorf("%d questions were asked", n)
	}
	if _, _, err := (&Client{Hosts: os.DevNull}).Lookup(t.Context(), "vpn.example.com"); !errors.Is(err, ErrNoServers) {
		t.Errorf("without servers: %v, want %v", err, ErrNoServers)
	}
}

// The context ends a lookup at once.
func TestContext(t *testing.T) {
	s := serve(t, silent)
	c := client(s)
	c.Timeout = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, _, err := c.Lookup(ctx, "vpn.example.com")
	if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > 10*time.Second {
		t.Errorf("after %v: %v, want %v", took, err, context.DeadlineExceeded)
	}
}

// Each server is asked Tries times, and a socket that cannot be opened is the
// server's failure, not the lookup's.
func TestTries(t *testing.T) {
	one, two := serve(t, silent), serve(t, silent)
	c := client(one, two)
	c.Timeout = 20 * time.Millisecond
	_, _, err := c.Lookup(t.Context(), "vpn.example.com")
	for i, s := range []*server{one, two} {
		if n := s.count(func(q query) bool { return q.q.Type == dnsmessage.TypeA }); n != 2 {
			t.Errorf("server %d was asked %d times, want 2 (%v)", i, n, err)
		}
	}

	c = client(serve(t, host))
	c.Servers = append([]netip.AddrPort{netip.MustParseAddrPort("[2001:db8::53]:53")}, c.Servers...)
	ordinary, _ := Marked(0)
	c.Listen = func(ctx context.Context, network string) (net.PacketConn, error) {
		if network == "udp6" {
			return nil, errors.New("no address for udp6")
		}
		return ordinary(ctx, network)
	}
	if got, _, err := c.Lookup(t.Context(), "vpn.example.com"); err != nil || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
}
