package lookup

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func unhex(t testing.TB, lines string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(lines) {
		line, _, _ = strings.Cut(line, "//")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const goldenQuery = `
	1234 0100             // identifier; recursion desired
	0001 0000 0000 0001   // one question, one additional record
	03 76706e 07 6578616d706c65 00   // vpn.example
	0001 0001             // A, IN
	00 0029 04d0          // the root, OPT, 1232 bytes
	00000000 0000         // no extended code, version 0, no DO; no options
`

const goldenAnswer = `
	1234 8180             // identifier; response, recursion desired and available
	0001 0002 0000 0001   // one question, two answers, one additional record
	03 76706e 07 6578616d706c65 00   // vpn.example
	0001 0001             // A, IN
	c00c 0005 0001 00000e10 0007   // vpn.example CNAME, 3600 s, 7 bytes
	04 72656c61 c010      // rela.example, its end compressed
	c029 0001 0001 0000003c 0004   // rela.example A, 60 s, 4 bytes
	c0000201              // 192.0.2.1
	00 0029 04d0 00000000 0000     // OPT
`

func TestGolden(t *testing.T) {
	name, err := queryName("vpn.example")
	if err != nil {
		t.Fatal(err)
	}
	q := question(name, dnsmessage.TypeA)
	got, err := newQuery(0x1234, q, true)
	if want := unhex(t, goldenQuery); err != nil || !bytes.Equal(got, want) {
		t.Errorf("query %x, %v, want %x", got, err, want)
	}
	a, err := parseAnswer(unhex(t, goldenAnswer), 0x1234, q)
	if err != nil || !slices.Equal(a.addrs, addrs("192.0.2.1")) || a.ttl != time.Minute {
		t.Errorf("answer %v, %v", a, err)
	}
	if a, err = parseAnswer(unhex(t, goldenAnswer), 0x1235, q); !errors.Is(err, errStray) {
		t.Errorf("with another identifier: %v, %v", a, err)
	}
}

func TestFollow(t *testing.T) {
	const asked = "vpn.example."
	chain := func(n int) (r []dnsmessage.Resource) {
		from := asked
		for i := range n {
			to := "x" + strconv.Itoa(i) + ".example."
			r = append(r, record(from, to, 100))
			from = to
		}
		return append(r, record(from, "192.0.2.1", 100))
	}
	many := func(n int) (r []dnsmessage.Resource) {
		for i := range n {
			r = append(r, record(asked, netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}).String(), 9))
		}
		return r
	}
	tests := []struct {
		name    string
		records []dnsmessage.Resource
		want    []netip.Addr // nil: ErrNotFound
		ttl     time.Duration
	}{
		{"address", []dnsmessage.Resource{record(asked, "192.0.2.1", 7)}, addrs("192.0.2.1"), 7 * time.Second},
		{"another case", []dnsmessage.Resource{record("VPN.Example.", "192.0.2.1", 7)}, addrs("192.0.2.1"), 7 * time.Second},
		{"the shortest time, in the server's order", []dnsmessage.Resource{record(asked, "192.0.2.2", 9), record(asked, "192.0.2.1", 8)},
			addrs("192.0.2.2", "192.0.2.1"), 8 * time.Second},
		{"twice the same", []dnsmessage.Resource{record(asked, "192.0.2.1", 7), record(asked, "192.0.2.1", 7)}, addrs("192.0.2.1"), 7 * time.Second},
		{"alias", []dnsmessage.Resource{record(asked, "a.example.", 5), record("a.example.", "192.0.2.1", 7)}, addrs("192.0.2.1"), 5 * time.Second},
		{"alias after its address", []dnsmessage.Resource{record("a.example.", "192.0.2.1", 7), record(asked, "a.example.", 5)}, addrs("192.0.2.1"), 5 * time.Second},
		{"the longest chain", chain(maxChain), addrs("192.0.2.1"), 100 * time.Second},
		{"a longer chain", chain(maxChain + 1), nil, 0},
		{"a loop", []dnsmessage.Resource{record(asked, "a.example.", 5), record("a.example.", asked, 5)}, nil, 0},
		{"alias without an address", []dnsmessage.Resource{record(asked, "a.example.", 5)}, nil, 0},
		{"somebody else's address", []dnsmessage.Resource{record("a.example.", "192.0.2.1", 7)}, nil, 0},
		{"an alias's own address", []dnsmessage.Resource{record(asked, "a.example.", 5), record(asked, "192.0.2.1", 7)}, nil, 0},
		{"the other family", []dnsmessage.Resource{record(asked, "2001:db8::1", 7)}, nil, 0},
		{"multicast", []dnsmessage.Resource{record(asked, "224.0.0.1", 7)}, nil, 0},
		{"too many addresses", many(maxAddrs + 1), nil, 0}, // 32, see below
		{"nothing", nil, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name, err := queryName("vpn.example")
			if err != nil {
				t.Fatal(err)
			}
			q := query{id: 7, q: question(name, dnsmessage.TypeA)}
			got, err := parseAnswer(message(q, nil, tt.records...), 7, q.q)
			if len(tt.records) > maxAddrs {
				if len(got.addrs) != maxAddrs {
					t.Errorf("%d addresses, want %d", len(got.addrs), maxAddrs)
				}
				return
			}
			if !slices.Equal(got.addrs, tt.want) || got.ttl != tt.ttl || errors.Is(err, ErrNotFound) != (tt.want == nil) {
				t.Errorf("got %v, %v, want %v for %v", got, err, tt.want, tt.ttl)
			}
		})
	}
}

// Addresses of IPv4 inside IPv6 would leave by the other family.
func TestMapped(t *testing.T) {
	name, _ := queryName("vpn.example")
	q := query{id: 7, q: question(name, dnsmessage.TypeAAAA)}
	b := message(q, nil, dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypeAAAA, Class: dnsmessage.ClassINET},
		Body:   &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("::ffff:192.0.2.1").As16()},
	})
	if a, err := parseAnswer(b, 7, q.q); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, %v", a, err)
	}
}

// Whatever bytes come, what is taken for an answer is one.
func FuzzParseAnswer(f *testing.F) {
	name, err := queryName("vpn.example")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(unhex(f, goldenAnswer), false)
	f.Add(unhex(f, goldenQuery), false)
	q := query{id: 0x1234, q: question(name, dnsmessage.TypeAAAA)}
	f.Add(host(q)[0], true)
	f.Add(message(q, nil, record("vpn.example.", "a.example.", 1), record("a.example.", "vpn.example.", 1)), true)
	f.Add(code(dnsmessage.RCodeFormatError)(q)[0], true)
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		q := question(name, dnsmessage.TypeA)
		if six {
			q.Type = dnsmessage.TypeAAAA
		}
		before := bytes.Clone(b)
		a, err := parseAnswer(b, 0x1234, q)
		if !bytes.Equal(b, before) {
			t.Fatal("it changed the message")
		}
		if err != nil {
			if len(a.addrs) > 0 {
				t.Fatalf("addresses %v with the error %v", a.addrs, err)
			}
			return
		}
		if len(b) < 12 || b[0] != 0x12 || b[1] != 0x34 || b[2]&0xfa != 0x80 || b[3]&15 != 0 {
			t.Fatalf("header %x was taken", b[:min(len(b), 12)])
		}
		if n := len(a.addrs); n == 0 || n > maxAddrs || a.ttl < 0 {
			t.Fatalf("answer %v", a)
		}
		for i, x := range a.addrs {
			if x.Is4() == six || x.Is4In6() || x.IsUnspecified() || x.IsMulticast() || slices.Contains(a.addrs[:i], x) {
				t.Fatalf("addresses %v", a.addrs)
			}
		}
	})
}
