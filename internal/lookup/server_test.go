package lookup

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A server is a resolver on 127.0.0.1, UDP and TCP on the same port.
type server struct {
	addr netip.AddrPort
	udp  *net.UDPConn

	mu      sync.Mutex
	queries []query // all so far
}

// A reply makes the messages that answer a query: none, one, or forged ones
// before it.
type reply func(q query) [][]byte

type query struct {
	id   uint16
	q    dnsmessage.Question
	edns bool
	tcp  bool
	from netip.AddrPort // of a query over UDP
}

// serve starts a server that ends with the test.
func serve(t *testing.T, f reply) *server {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().(*net.TCPAddr).AddrPort()}
	if s.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(s.addr)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.serveUDP(f) })
	wg.Go(func() { s.serveTCP(l, f) })
	t.Cleanup(func() {
		s.udp.Close()
		l.Close()
		wg.Wait()
	})
	return s
}

func (s *server) serveUDP(f reply) {
	b := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		q, ok := parseQuery(b[:n])
		if !ok {
			continue
		}
		q.from = from
		s.note(q)
		for _, m := range f(q) {
			s.udp.WriteToUDPAddrPort(m, from)
		}
	}
}

func (s *server) serveTCP(l net.Listener, f reply) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.SetDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 2)
		if _, err := io.ReadFull(c, b); err == nil {
			b = make([]byte, binary.BigEndian.Uint16(b))
			io.ReadFull(c, b)
		}
		if q, ok := parseQuery(b); ok {
			q.tcp = true
			s.note(q)
			for _, m := range f(q) {
				c.Write(binary.BigEndian.AppendUint16(nil, uint16(len(m))))
				c.Write(m)
			}
		}
		c.Close()
	}
}

func (s *server) note(q query) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries = append(s.queries, q)
}

// count is how many queries so far are as is says.
func (s *server) count(is func(query) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, q := range s.queries {
		if is(q) {
			n++
		}
	}
	return n
}

func parseQuery(b []byte) (query, bool) {
	var m dnsmessage.Message
	if m.Unpack(b) != nil || len(m.Questions) != 1 || m.Response || !m.RecursionDesired {
		return query{}, false
	}
	q := query{id: m.ID, q: m.Questions[0]}
	for _, r := range m.Additionals {
		q.edns = q.edns || r.Header.Type == dnsmessage.TypeOPT
	}
	return q, true
}

// message is an answer to q as a resolver gives it; edit changes it.
func message(q query, edit func(*dnsmessage.Message), records ...dnsmessage.Resource) []byte {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.id, Response: true, RecursionDesired: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q.q},
		Answers:   records,
	}
	if edit != nil {
		edit(&m)
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// host answers with one address of each family, whatever the name.
func host(q query) [][]byte {
	if q.q.Type == dnsmessage.TypeA {
		return [][]byte{message(q, nil, record(q.q.Name.String(), "192.0.2.1", 300))}
	}
	return [][]byte{message(q, nil, record(q.q.Name.String(), "2001:db8::1", 60))}
}

// silent answers nothing.
func silent(query) [][]byte { return nil }

// code answers with a response code.
func code(c dnsmessage.RCode) reply {
	return func(q query) [][]byte {
		return [][]byte{message(q, func(m *dnsmessage.Message) { m.RCode = c })}
	}
}

// record is an A or AAAA record, or a CNAME if to is a name.
func record(owner, to string, ttl uint32) dnsmessage.Resource {
	h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(owner), Class: dnsmessage.ClassINET, TTL: ttl}
	var body dnsmessage.ResourceBody
	a, err := netip.ParseAddr(to)
	switch {
	case err != nil:
		h.Type, body = dnsmessage.TypeCNAME, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)}
	case a.Is4():
		h.Type, body = dnsmessage.TypeA, &dnsmessage.AResource{A: a.As4()}
	default:
		h.Type, body = dnsmessage.TypeAAAA, &dnsmessage.AAAAResource{AAAA: a.As16()}
	}
	return dnsmessage.Resource{Header: h, Body: body}
}

func addrs(list ...string) []netip.Addr {
	var a []netip.Addr
	for _, s := range list {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}
