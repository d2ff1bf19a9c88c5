package netlab

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Ports of a Target.
const (
	TransferPort = 5001 // TCP
	EchoPort     = 5002 // UDP
)

// A Target is a host's services for tests: a sink and a source of hashed TCP
// transfers, and a UDP echo. They say whom they saw.
type Target struct {
	tcp   *net.TCPListener
	udp   *net.UDPConn
	wg    sync.WaitGroup
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	ended bool
}

// ServeTarget serves on all addresses of h, both families, until the test ends.
func (h *Host) ServeTarget(tb testing.TB) *Target {
	tb.Helper()
	t := &Target{conns: make(map[net.Conn]struct{})}
	err := h.Do(func() (err error) {
		// A wildcard IPv6 socket serves IPv4 too.
		if t.tcp, err = net.ListenTCP("tcp", &net.TCPAddr{Port: TransferPort}); err != nil {
			return err
		}
		if t.udp, err = net.ListenUDP("udp", &net.UDPAddr{Port: EchoPort}); err != nil {
			return err
		}
		return withInfo(t.udp)
	})
	if err != nil {
		tb.Fatalf("netlab: %s: %v", h.Name, err)
	}
	t.wg.Go(t.accept)
	t.wg.Go(t.echo)
	tb.Cleanup(t.close)
	return t
}

func (t *Target) close() {
	_ = t.tcp.Close()
	_ = t.udp.Close()
	t.mu.Lock()
	t.ended = true
	for c := range t.conns {
		_ = c.Close()
	}
	t.mu.Unlock()
	t.wg.Wait()
}

func (t *Target) accept() {
	for {
		c, err := t.tcp.AcceptTCP()
		if err != nil {
			return
		}
		t.mu.Lock()
		if t.ended {
			t.mu.Unlock()
			_ = c.Close()
			return
		}
		t.conns[c] = struct{}{}
		t.mu.Unlock()
		t.wg.Go(func() {
			_ = serveTransfer(c, addrPort(c.RemoteAddr())) // the client says what is wrong
			_ = c.Close()
			t.mu.Lock()
			delete(t.conns, c)
			t.mu.Unlock()
		})
	}
}

// echo answers each datagram with the source that it saw, a newline, and the
// datagram, from the address and interface that it came to.
func (t *Target) echo() {
	buf, info := make([]byte, 1<<16), make([]byte, 256)
	for {
		// The packet info that comes with a datagram, sent with another one,
		// chooses that one's source.
		n, k, _, from, err := t.udp.ReadMsgUDPAddrPort(buf, info)
		if err != nil {
			return
		}
		seen := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		_, _, _ = t.udp.WriteMsgUDPAddrPort(append(fmt.Appendln(nil, seen), buf[:n]...), info[:k], from)
	}
}

// withInfo makes the IPv6 socket c tell packet info, of IPv4 packets too.
func withInfo(c *net.UDPConn) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := rc.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// A transfer's wire format: the client sends a request of 17 bytes, then on an
// upload the data; the server sends on a download the data, and always at the
// end the SHA-256 of the data that it sent or got, and the client's address as
// it saw it, 18 bytes.
type request struct {
	down bool
	size int64
	seed uint64 // of the data
}

func (r request) encode() []byte {
	b := []byte{0}
	if r.down {
		b[0] = 1
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.size))
	return binary.BigEndian.AppendUint64(b, r.seed)
}

func decodeRequest(b []byte) request {
	return request{b[0] == 1, int64(binary.BigEndian.Uint64(b[1:])), binary.BigEndian.Uint64(b[9:])}
}

// data returns size bytes that follow from the seed.
func (r request) data() io.Reader {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], r.seed)
	return io.LimitReader(rand.NewChaCha8(seed), r.size)
}

// block is the size of the reads and writes of a transfer.
const block = 1 << 18

func serveTransfer(c net.Conn, from netip.AddrPort) error {
	head := make([]byte, 17)
	if _, err := io.ReadFull(c, head); err != nil {
		return err
	}
	r := decodeRequest(head)
	sum := sha256.New()
	var err error
	if r.down {
		_, err = copyBlocks(c, io.TeeReader(r.data(), sum))
	} else {
		_, err = copyBlocks(sum, io.LimitReader(c, r.size))
	}
	if err != nil {
		return err
	}
	addr := from.Addr().As16()
	tail := append(sum.Sum(nil), addr[:]...)
	_, err = c.Write(binary.BigEndian.AppendUint16(tail, from.Port()))
	return err
}

// errHash is the error of a transfer that delivered other bytes than were sent.
var errHash = errors.New("netlab: the hashes of what was sent and what arrived differ")

// transfer is the client's side of serveTransfer. It returns the address that
// the target saw.
func transfer(c net.Conn, r request) (netip.AddrPort, error) {
	if _, err := c.Write(r.encode()); err != nil {
		return netip.AddrPort{}, err
	}
	sum := sha256.New()
	var n int64
	var err error
	if r.down {
		n, err = copyBlocks(sum, io.LimitReader(c, r.size))
	} else {
		n, err = copyBlocks(c, io.TeeReader(r.data(), sum))
	}
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("netlab: after %d of %d bytes: %w", n, r.size, err)
	}
	tail := make([]byte, sha256.Size+18)
	if _, err := io.ReadFull(c, tail); err != nil {
		return netip.AddrPort{}, fmt.Errorf("netlab: after %d of %d bytes: %w", n, r.size, err)
	}
	if [sha256.Size]byte(tail) != [sha256.Size]byte(sum.Sum(nil)) {
		return netip.AddrPort{}, errHash
	}
	tail = tail[sha256.Size:]
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(tail)).Unmap(), binary.BigEndian.Uint16(tail[16:])), nil
}

// copyBlocks is io.CopyBuffer that keeps to the buffer: a TeeReader's hash and
// a socket's splice would otherwise not meet.
func copyBlocks(dst io.Writer, src io.Reader) (int64, error) {
	type reader struct{ io.Reader }
	type writer struct{ io.Writer }
	return io.CopyBuffer(writer{dst}, reader{src}, make([]byte, block))
}
