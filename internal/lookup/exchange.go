package lookup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	maxDatagram = 4096 // of an answer; more is cut off, and so malformed
	// maxStrays is how many datagrams that are no answer are read before a
	// query is given up: somebody is guessing.
	maxStrays = 64
)

// exchange asks one server one question: over UDP, without EDNS if the server
// does not know it, and over TCP if the answer is too large. The errors name
// the server.
func (c *Client) exchange(ctx context.Context, server netip.AddrPort, q dnsmessage.Question) (answer, error) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a, err := c.overUDP(within, server, q, true)
	if errors.Is(err, errNoEDNS) {
		a, err = c.overUDP(within, server, q, false)
	}
	if errors.Is(err, errTruncated) && c.DialTCP != nil {
		a, err = c.overTCP(within, server, q)
	}
	switch {
	case err == nil || errors.Is(err, ErrNotFound):
		return a, err
	case ctx.Err() != nil:
		return a, context.Cause(ctx)
	case within.Err() != nil:
		return a, fmt.Errorf("resolver %s: no answer within %v", server.Addr(), timeout)
	}
	return a, fmt.Errorf("resolver %s: %w", server.Addr(), err)
}

func (c *Client) overUDP(ctx context.Context, server netip.AddrPort, q dnsmessage.Question, edns bool) (answer, error) {
	id := newID()
	query, err := newQuery(id, q, edns)
	if err != nil {
		return answer{}, err
	}
	conn, err := c.listen(ctx, server)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = conn.Close() }()
	defer expire(ctx, conn)()
	if _, err := conn.WriteTo(query, net.UDPAddrFromAddrPort(server)); err != nil {
		return answer{}, err
	}
	b := make([]byte, maxDatagram)
	for range maxStrays {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return answer{}, err
		}
		if !isFrom(from, server) {
			continue
		}
		if a, err := parseAnswer(b[:n], id, q); !errors.Is(err, errStray) {
			return a, err
		}
	}
	return answer{}, errors.New("too many datagrams that are no answer")
}

// listen opens a socket of the server's family.
func (c *Client) listen(ctx context.Context, server netip.AddrPort) (net.PacketConn, error) {
	network := "udp6"
	if server.Addr().Unmap().Is4() {
		network = "udp4"
	}
	if c.Listen != nil {
		return c.Listen(ctx, network)
	}
	return new(net.ListenConfig).ListenPacket(ctx, network, "")
}

// isFrom reports whether a datagram came from the server. A zone is what the
// kernel calls the link, and may be missing on either side.
func isFrom(from net.Addr, server netip.AddrPort) bool {
	udp, ok := from.(*net.UDPAddr)
	if !ok {
		return false
	}
	got := udp.AddrPort()
	return got.Port() == server.Port() &&
		got.Addr().Unmap().WithZone("") == server.Addr().Unmap().WithZone("")
}

// overTCP asks over TCP, where a message follows its length (RFC 1035, section
// 4.2.2).
func (c *Client) overTCP(ctx context.Context, server netip.AddrPort, q dnsmessage.Question) (answer, error) {
	id := newID()
	query, err := newQuery(id, q, false)
	if err != nil {
		return answer{}, err
	}
	conn, err := c.DialTCP(ctx, server)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = conn.Close() }()
	defer expire(ctx, conn)()
	length := binary.BigEndian.AppendUint16(nil, uint16(len(query))) // a name is short
	if _, err := conn.Write(append(length, query...)); err != nil {
		return answer{}, err
	}
	if _, err := io.ReadFull(conn, length); err != nil {
		return answer{}, err
	}
	b := make([]byte, binary.BigEndian.Uint16(length))
	if _, err := io.ReadFull(conn, b); err != nil {
		return answer{}, err
	}
	return parseAnswer(b, id, q)
}

// expire ends what conn waits for when ctx ends, until stop is called.
func expire(ctx context.Context, conn interface{ SetDeadline(time.Time) error }) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
}
