package memnet

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.zx2c4.com/wireguard/conn"

	"multihop/packet"
	"multihop/tun"
)

const (
	batchSize = 32   // datagrams a call
	udpSlots  = 1024 // datagrams that an open port queues
)

// Bind returns a bind on the UDP ports of a host with these addresses, at most
// one per family. Binds of the same addresses share a host, and have different
// ports. If the addresses cannot be had, Open says why.
func (n *Net) Bind(addrs ...netip.Addr) conn.Bind {
	host, err := n.udpHost(addrs)
	return &bind{host: host, err: err}
}

type bind struct {
	host    *udpHost
	err     error     // why there is no host
	scratch sync.Pool // of *[][]byte, batchSize packets

	mu    sync.RWMutex
	queue *tun.Memory // nil: closed
	port  uint16
}

var _ conn.Bind = (*bind)(nil)

// Open implements conn.Bind.
func (b *bind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	if b.err != nil {
		return nil, 0, b.err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queue != nil {
		return nil, 0, conn.ErrBindAlreadyOpen
	}
	queue, port, err := b.host.open(port)
	if err != nil {
		return nil, 0, err
	}
	b.queue, b.port = queue, port
	return []conn.ReceiveFunc{receiver(queue)}, port, nil
}

// Close implements conn.Bind.
func (b *bind) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queue != nil {
		b.host.close(b.port)
		b.queue = nil
	}
	return nil
}

// receiver returns a function that waits for packets in queue and leaves their
// payloads in bufs.
func receiver(queue *tun.Memory) conn.ReceiveFunc {
	var last *endpoint // wireguard-go calls a receive function from one goroutine
	return func(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
		n, err := queue.Read(bufs, sizes, 0)
		if err != nil {
			return 0, net.ErrClosed
		}
		for i := range n {
			var m packet.Meta
			pkt := bufs[i][:sizes[i]]
			sizes[i] = 0
			if m.Parse(pkt) != packet.OK {
				continue
			}
			payload, ok := packet.UDPPayload(pkt, &m)
			if !ok {
				continue
			}
			if src := netip.AddrPortFrom(m.Src, m.SrcPort); last == nil || last.dst != src {
				last = &endpoint{src}
			}
			eps[i] = last
			sizes[i] = copy(bufs[i], payload)
		}
		return n, nil
	}
}

// Send implements conn.Bind.
func (b *bind) Send(bufs [][]byte, ep conn.Endpoint) error {
	to, ok := ep.(*endpoint)
	if !ok {
		return conn.ErrWrongEndpointType
	}
	b.mu.RLock()
	port, open := b.port, b.queue != nil
	b.mu.RUnlock()
	if !open {
		return net.ErrClosed
	}
	src := b.source(to.dst.Addr())
	if !src.IsValid() {
		return syscall.EAFNOSUPPORT
	}

	scratch, _ := b.scratch.Get().(*[][]byte)
	if scratch == nil {
		scratch = new([][]byte)
	}
	defer b.scratch.Put(scratch)
	pkts := *scratch
	for len(pkts) < len(bufs) {
		pkts = append(pkts, nil)
	}
	*scratch = pkts
	head := packet.UDPOverhead(to.dst.Addr())
	for i, payload := range bufs {
		pkts[i] = append(append(pkts[i][:0], make([]byte, head)...), payload...)
		if packet.PutUDP(pkts[i], netip.AddrPortFrom(src, port), to.dst, len(payload), true) == 0 {
			return syscall.EMSGSIZE
		}
	}
	b.host.Send(pkts[:len(bufs)])
	return nil
}

// source returns the host's address of dst's family.
func (b *bind) source(dst netip.Addr) netip.Addr {
	for _, a := range b.host.addrs {
		if a.Is4() == dst.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// SetMark implements conn.Bind: nothing here has marks.
func (b *bind) SetMark(uint32) error { return nil }

// BatchSize implements conn.Bind.
func (b *bind) BatchSize() int { return batchSize }

// ParseEndpoint implements conn.Bind.
func (b *bind) ParseEndpoint(s string) (conn.Endpoint, error) {
	dst, err := netip.ParseAddrPort(s)
	if err != nil {
		return nil, fmt.Errorf("memnet: endpoint: %w", err)
	}
	return &endpoint{netip.AddrPortFrom(dst.Addr().Unmap(), dst.Port())}, nil
}

// An endpoint is an address and port of a Net. There is one way to it, so no
// source is kept.
type endpoint struct{ dst netip.AddrPort }

var _ conn.Endpoint = (*endpoint)(nil)

func (e *endpoint) ClearSrc()           {}
func (e *endpoint) SrcToString() string { return "" }
func (e *endpoint) SrcIP() netip.Addr   { return netip.Addr{} }
func (e *endpoint) DstToString() string { return e.dst.String() }
func (e *endpoint) DstIP() netip.Addr   { return e.dst.Addr() }
func (e *endpoint) DstToBytes() []byte  { b, _ := e.dst.MarshalBinary(); return b }
