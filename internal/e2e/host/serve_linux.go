package host

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"multihop/internal/netlab"
)

// Ports that every host but the one under test serves, by TCP and by UDP.
const (
	EchoPort = 443 // answers what it gets
	DNSPort  = 53
)

// Records are what the resolvers of a network know and were asked. They are
// safe for concurrent use.
type Records struct {
	mu      sync.Mutex
	addrs   map[string][]netip.Addr
	queries []Query
}

// A Query is a question that a resolver was asked, other than by Traffic.
type Query struct {
	Name string     // without a dot at the end
	At   string     // the name of the host that was asked
	From netip.Addr // who asked, as that host saw it
}

// Set makes every resolver answer a name with addrs.
func (r *Records) Set(name string, addrs ...netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.addrs == nil {
		r.addrs = make(map[string][]netip.Addr)
	}
	r.addrs[name] = addrs
}

// Queries are the questions so far about a name.
func (r *Records) Queries(name string) []Query {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.queries), func(q Query) bool { return q.Name != name })
}

// Forget forgets the questions so far.
func (r *Records) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queries = nil
}

// Records are those of the network's resolvers.
func (n *Network) Records() *Records { return n.records }

// serve makes h an echo server and a resolver.
func serve(tb testing.TB, h *netlab.Host, r *Records) {
	tb.Helper()
	h.ServeUDP(tb, EchoPort, func(b []byte, _ netip.AddrPort) []byte { return b })
	h.ServeTCP(tb, EchoPort, func(c net.Conn) { _, _ = io.Copy(c, c) })
	h.ServeUDP(tb, DNSPort, func(b []byte, from netip.AddrPort) []byte { return r.answer(b, h.Name, from.Addr()) })
	h.ServeTCP(tb, DNSPort, func(c net.Conn) { r.answerTCP(c, h.Name) })
}

// answer returns the answer to a query; nil if b is none.
func (r *Records) answer(b []byte, at string, from netip.Addr) []byte {
	var m dnsmessage.Message
	if m.Unpack(b) != nil || m.Response || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	m.Response, m.RecursionAvailable = true, true
	m.Additionals = nil
	if name != probeName {
		r.lookup(&m, Query{Name: name, At: at, From: from})
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}

func (r *Records) lookup(m *dnsmessage.Message, query Query) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queries = append(r.queries, query)
	addrs, known := r.addrs[query.Name]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	q := m.Questions[0]
	h := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}
	for _, a := range addrs {
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
}

// answerTCP answers queries with a length before each (RFC 1035, 4.2.2).
func (r *Records) answerTCP(c net.Conn, at string) {
	from := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	for {
		b, err := readDNS(c)
		if err != nil {
			return
		}
		out := r.answer(b, at, from)
		if out == nil {
			return
		}
		if err := writeDNS(c, out); err != nil {
			return
		}
	}
}

func readDNS(c io.Reader) ([]byte, error) {
	var n [2]byte
	if _, err := io.ReadFull(c, n[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(n[:]))
	_, err := io.ReadFull(c, b)
	return b, err
}

func writeDNS(c io.Writer, b []byte) error {
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err
}

// probeName is the name that Traffic asks for.
const probeName = "probe.example"

// question returns a query for name.
func question(name string, kind dnsmessage.Type) []byte {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name + "."), Type: kind, Class: dnsmessage.ClassINET}},
	}
	b, err := m.Pack()
	if err != nil {
		panic("host: " + err.Error()) // only for names of ours
	}
	return b
}
