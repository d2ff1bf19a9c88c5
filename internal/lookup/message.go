package lookup

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	maxUDP     = 1232 // bytes of an answer, offered by EDNS: no fragments at an MTU of 1280
	maxAddrs   = 32   // of one family
	maxRecords = 256  // of an answer that are looked at
	maxChain   = 16   // CNAMEs that are followed
)

var (
	errStray     = errors.New("not the answer to this query") // unwrapped: there may be another
	errTruncated = errors.New("the answer does not fit a datagram")
	errNoEDNS    = errors.New("it did not understand the query") // EDNS, perhaps
)

// An answer is what a resolver said: addresses of one family, in its order, at
// least one and none twice.
type answer struct {
	addrs []netip.Addr
	ttl   time.Duration // the shortest of all records used
}

// queryName is a name as it stands in messages. It is taken as complete.
func queryName(name string) (dnsmessage.Name, error) {
	plain := strings.TrimSuffix(name, ".")
	if len(plain) > 253 {
		return dnsmessage.Name{}, errors.New("longer than 253 characters")
	}
	for label := range strings.SplitSeq(plain, ".") {
		switch {
		case label == "" || len(label) > 63:
			return dnsmessage.Name{}, errors.New("a part between dots has 1 to 63 characters")
		case strings.ContainsFunc(label, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			return dnsmessage.Name{}, errors.New("no name has blanks in it")
		case strings.ContainsFunc(label, func(r rune) bool { return r > 0x7f }):
			return dnsmessage.Name{}, errors.New("write a name that is not ASCII in its xn-- form")
		}
	}
	return dnsmessage.NewName(plain + ".")
}

func question(name dnsmessage.Name, t dnsmessage.Type) dnsmessage.Question {
	return dnsmessage.Question{Name: name, Type: t, Class: dnsmessage.ClassINET}
}

// newID is an identifier that nobody can guess.
func newID() uint16 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint16(b[:])
}

// newQuery is a message that asks q, with recursion.
func newQuery(id uint16, q dnsmessage.Question, edns bool) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	err := errors.Join(b.StartQuestions(), b.Question(q))
	if edns {
		var opt dnsmessage.ResourceHeader
		err = errors.Join(err, opt.SetEDNS0(maxUDP, dnsmessage.RCodeSuccess, false),
			b.StartAdditionals(), b.OPTResource(opt, dnsmessage.OPTResource{}))
	}
	if err != nil {
		return nil, err
	}
	return b.Finish()
}

// parseAnswer reads the answer to the query q with the identifier id. The error
// is errStray if msg is none, ErrNotFound if there is no address, and errNoEDNS
// or errTruncated if asking otherwise may help.
func parseAnswer(msg []byte, id uint16, q dnsmessage.Question) (answer, error) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || h.ID != id || !h.Response || h.OpCode != 0 {
		return answer{}, errStray
	}
	asked, err := p.AllQuestions()
	switch {
	case err != nil:
		return answer{}, errStray
	case len(asked) == 0 && (h.RCode == dnsmessage.RCodeFormatError || h.RCode == dnsmessage.RCodeNotImplemented):
		// a server that understood nothing repeats nothing
	case len(asked) != 1 || !sameQuestion(asked[0], q):
		return answer{}, errStray
	}
	switch h.RCode {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeNameError:
		return answer{}, ErrNotFound
	case dnsmessage.RCodeFormatError, dnsmessage.RCodeNotImplemented:
		return answer{}, errNoEDNS
	default:
		return answer{}, fmt.Errorf("it said %s", strings.TrimPrefix(h.RCode.String(), "RCode"))
	}
	if h.Truncated {
		return answer{}, errTruncated
	}
	r, err := readRecords(&p)
	if err != nil {
		return answer{}, fmt.Errorf("malformed answer: %w", err)
	}
	return r.follow(q)
}

func sameQuestion(a, b dnsmessage.Question) bool {
	return a.Type == b.Type && a.Class == b.Class && key(a.Name) == key(b.Name)
}

// key is a name for comparison: upper and lower case are one (RFC 4343).
func key(n dnsmessage.Name) string { return strings.ToLower(n.String()) }

// records are those of an answer that matter, by their owner's key.
type records struct {
	alias map[string]alias
	addrs map[string][]address
}

type alias struct {
	to  string
	ttl uint32
}

type address struct {
	addr netip.Addr
	ttl  uint32
}

// readRecords reads the answer section.
func readRecords(p *dnsmessage.Parser) (records, error) {
	r := records{alias: map[string]alias{}, addrs: map[string][]address{}}
	for range maxRecords {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return r, nil
		}
		if err == nil {
			err = r.read(p, h)
		}
		if err != nil {
			return records{}, err
		}
	}
	return r, nil
}

// read reads the record whose header is h.
func (r records) read(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) error {
	if h.Class != dnsmessage.ClassINET {
		return p.SkipAnswer()
	}
	owner := key(h.Name)
	switch h.Type {
	case dnsmessage.TypeCNAME:
		c, err := p.CNAMEResource()
		if err != nil {
			return err
		}
		r.alias[owner] = alias{key(c.CNAME), h.TTL}
	case dnsmessage.TypeA:
		a, err := p.AResource()
		if err != nil {
			return err
		}
		r.addrs[owner] = append(r.addrs[owner], address{netip.AddrFrom4(a.A), h.TTL})
	case dnsmessage.TypeAAAA:
		a, err := p.AAAAResource()
		if err != nil {
			return err
		}
		r.addrs[owner] = append(r.addrs[owner], address{netip.AddrFrom16(a.AAAA), h.TTL})
	default:
		return p.SkipAnswer()
	}
	return nil
}

// follow goes from the name that was asked along its aliases to the addresses.
// A resolver that recurses sends the whole chain.
func (r records) follow(q dnsmessage.Question) (answer, error) {
	name, ttl := key(q.Name), uint32(1<<31-1) // RFC 2181, section 8
	for range maxChain {
		c, ok := r.alias[name]
		if !ok {
			break
		}
		name, ttl = c.to, min(ttl, c.ttl)
	}
	var a answer
	for _, x := range r.addrs[name] {
		if len(a.addrs) == maxAddrs {
			break
		}
		if x.addr.Is4() == (q.Type == dnsmessage.TypeA) && usable(x.addr) && !slices.Contains(a.addrs, x.addr) {
			a.addrs, ttl = append(a.addrs, x.addr), min(ttl, x.ttl)
		}
	}
	if len(a.addrs) == 0 {
		return answer{}, ErrNotFound
	}
	a.ttl = time.Duration(ttl) * time.Second
	return a, nil
}

// usable reports whether an endpoint may have the address. Filters answer
// 0.0.0.0 for what they block; IPv4 in IPv6 would leave by the other family.
func usable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && !a.Is4In6()
}
