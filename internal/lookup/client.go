package lookup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

var (
	// ErrNotFound says that there is no such name, or that it has no address.
	ErrNotFound = errors.New("no such name, or no address")
	// ErrNoServers says that a name would have to be asked for, and of nobody.
	ErrNoServers = errors.New("no resolver to ask")
)

const (
	defaultTimeout = 2 * time.Second
	defaultTries   = 3
	// grace is how much longer one family is waited for once the other has
	// answered with addresses.
	grace = time.Second
)

// A Client asks resolvers for addresses. Its fields may not change while it is
// used; it is then safe for concurrent use.
type Client struct {
	// Servers are asked in turn, until one has answered.
	Servers []netip.AddrPort
	// Listen opens the socket of one query; network is "udp4" or "udp6", as the
	// server's address is. The socket is closed after the query. Nil: an
	// ordinary socket of the host. See Marked.
	Listen func(ctx context.Context, network string) (net.PacketConn, error)
	// DialTCP connects to a server whose answer does not fit a datagram. Nil:
	// such an answer is an error.
	DialTCP func(ctx context.Context, server netip.AddrPort) (net.Conn, error)
	// Hosts is the file of names that are not asked for; "": /etc/hosts.
	Hosts string
	// Timeout is how long one server is waited for; 0: 2 s.
	Timeout time.Duration
	// Tries is how often each server is asked; 0: 3.
	Tries int
}

// Lookup returns the addresses of name, those of IPv4 first, at least one and
// at most 64, none twice, and how long they may be kept: 0 for an address and
// for a name of the hosts file. Servers that do not answer, or cannot, are
// passed over; the error is ErrNotFound if one said that there is nothing.
func (c *Client) Lookup(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a.Unmap()}, 0, nil
	}
	q, err := queryName(name)
	if err != nil {
		return nil, 0, fmt.Errorf("lookup: %q: %w", name, err)
	}
	if addrs := hosts(c.Hosts, name); len(addrs) > 0 {
		return addrs, 0, nil
	}
	a, err := c.both(ctx, q)
	if err != nil {
		return nil, 0, fmt.Errorf("lookup: %s: %w", name, err)
	}
	return a.addrs, a.ttl, nil
}

// both asks for the addresses of both families at the same time.
func (c *Client) both(ctx context.Context, name dnsmessage.Name) (answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		answer
		err error
	}
	var v4, v6 result
	done4, done6 := make(chan struct{}), make(chan struct{})
	go func() { // ends with ctx
		defer close(done4)
		v4.answer, v4.err = c.ask(ctx, question(name, dnsmessage.TypeA))
	}()
	go func() { // ends with ctx
		defer close(done6)
		v6.answer, v6.err = c.ask(ctx, question(name, dnsmessage.TypeAAAA))
	}()
	first, other, late := &v4, &v6, done6
	select {
	case <-done4:
	case <-done6:
		first, other, late = &v6, &v4, done4
	}
	if first.err == nil {
		defer time.AfterFunc(grace, cancel).Stop()
	}
	<-late
	switch {
	case first.err == nil && other.err == nil:
		return join(v4.answer, v6.answer), nil
	case first.err == nil:
		return first.answer, nil
	case other.err == nil:
		return other.answer, nil
	case errors.Is(first.err, ErrNotFound): // a failure says more: the name may well exist
		return answer{}, other.err
	}
	return answer{}, first.err
}

// join puts what both families answered into one answer.
func join(v4, v6 answer) answer {
	return answer{addrs: append(v4.addrs, v6.addrs...), ttl: min(v4.ttl, v6.ttl)}
}

// ask asks the servers in turn, and all again, until one has answered.
func (c *Client) ask(ctx context.Context, q dnsmessage.Question) (answer, error) {
	tries := c.Tries
	if tries <= 0 {
		tries = defaultTries
	}
	err := ErrNoServers
	for range tries {
		for _, s := range c.Servers {
			var a answer
			a, err = c.exchange(ctx, s, q)
			if err == nil || errors.Is(err, ErrNotFound) || ctx.Err() != nil {
				return a, err
			}
		}
	}
	return answer{}, err
}
