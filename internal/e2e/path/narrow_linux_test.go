package path_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// transferred is what a TCP transfer moves each way, in bytes.
const transferred = 4 << 20

// narrow: the client's kernel learns of a narrow link behind the relay, by TCP
// and by UDP (RFC 1191, RFC 8201).
func narrow(t *testing.T, c *running, s *side, f family) {
	t.Run("TCP", func(t *testing.T) {
		addr := s.addr(narrowTCP, f.like)
		known := func() int { // as a new socket learns it
			return dial(t, c.Client, netip.AddrPortFrom(addr, netlab.EchoPort), df).mtu(t)
		}
		if got, want := known(), c.mtu(t, s); got != want {
			t.Fatalf("before the transfer the path MTU is %d, want the hop's, %d", got, want)
		}
		transfers(t, c, s, addr)
		if got := known(); got != f.narrow() {
			t.Errorf("after the transfer the path MTU is %d, want %d", got, f.narrow())
		}
	})
	t.Run("UDP", func(t *testing.T) {
		addr := s.addr(narrowUDP, f.like)
		to := listen(t, s.target)
		d := dial(t, c.Client, netip.AddrPortFrom(addr, to.port), df)
		fits := f.narrow() - f.header()
		for _, tt := range []struct {
			size int
			want fate
		}{
			{fits + 1, fate{tooBig: f.narrow()}},                 // the router before the link says so
			{c.mtu(t, s) - f.header(), fate{tooBig: f.narrow()}}, // the client's kernel knows
			{fits, fate{delivered: true}},
		} {
			if got := cross(d, to, tt.size, time.Second); got != tt.want {
				t.Errorf("%d bytes of payload: %v, want %v", tt.size, got, tt.want)
			}
		}
		if got := d.mtu(t); got != f.narrow() {
			t.Errorf("the path MTU is %d, want %d", got, f.narrow())
		}
		// Who does not ask for DF has his datagrams fragmented by the kernel.
		if got := cross(dial(t, c.Client, netip.AddrPortFrom(addr, to.port), ordinary), to, 1400, time.Second); !got.delivered {
			t.Errorf("1400 bytes, DF where it fits: %v", got)
		}
	})
}

// transfers moves data to the target at addr and back over TCP.
func transfers(t *testing.T, c *running, s *side, addr netip.Addr) {
	t.Helper()
	up, err := c.Client.Upload(addr, transferred, 20*time.Second)
	if err != nil {
		t.Errorf("upload to %v: %v", addr, err)
	} else if want := s.client.Of(addr); up.From.Addr() != want {
		t.Errorf("%v saw TCP from %v, want %v", addr, up.From.Addr(), want)
	}
	if _, err := c.Client.Download(addr, transferred, 20*time.Second); err != nil {
		t.Errorf("download from %v: %v", addr, err)
	}
}

// filter drops every "too big" that h is told.
func filter(t *testing.T, h *netlab.Host) {
	t.Helper()
	program := netlab.RequireTool(t, "nft", "nftables")
	nft := func(command string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		out, err := h.Run(ctx, program, command)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	}
	err := nft(`table inet deaf {
		chain input {
			type filter hook input priority 0;
			icmp type destination-unreachable icmp code frag-needed drop
			icmpv6 type packet-too-big drop
		}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nft("delete table inet deaf"); err != nil {
			t.Error(err)
		}
	})
}

// withoutTooBig: TCP crosses on the clamped MSS alone, where neither end has an
// idea of the path's MTU and nobody can tell it.
func withoutTooBig(t *testing.T, c *running, s *side, f family) {
	addr := s.addr(filtered, f.like)
	filter(t, c.Client)
	filter(t, s.target)
	c.unbounded(addr)

	// The detector: what is too big is silently lost.
	to := listen(t, s.target)
	if got := cross(dial(t, c.Client, netip.AddrPortFrom(addr, to.port), df), to, deviceMTU-f.header(), time.Second/2); got != (fate{}) {
		t.Fatalf("detector: a datagram of %d bytes: %v", deviceMTU, got)
	}

	syns := func(p *netlab.Packet) bool {
		return p.Proto == netlab.ProtoTCP && len(p.Payload) >= 20 && p.Payload[13]&2 != 0 &&
			(p.Src.Addr() == addr || p.Dst.Addr() == addr)
	}
	out := s.target.Capture(t, "eth0", netlab.CaptureOptions{Match: func(p *netlab.Packet) bool { return !p.Outgoing && syns(p) }})
	in := c.Client.Capture(t, c.Name, netlab.CaptureOptions{Match: func(p *netlab.Packet) bool { return !p.Outgoing && syns(p) }})
	transfers(t, c, s, addr)
	for _, seen := range []struct {
		what    string
		capture *netlab.Capture
	}{{"SYN at the target", out}, {"SYN-ACK at the client", in}} {
		packets := seen.capture.Packets()
		if len(packets) == 0 {
			t.Errorf("no %s was seen", seen.what)
		}
		most := c.mtu(t, s) - f.header() - 12 // TCP's header has 12 bytes more than UDP's
		for _, p := range packets {
			// Down to a multiple of 16: the peer pads its packets to that.
			if got := mss(p.Payload); got > most || got <= most-16 {
				t.Errorf("the %s has an MSS of %d, want %d or at most 15 less", seen.what, got, most)
			}
		}
	}
}

// mss returns the value of a TCP header's option, or 0.
func mss(tcp []byte) int {
	options := tcp[20:min(len(tcp), int(tcp[12]>>4)*4)]
	for len(options) >= 2 {
		switch n := int(options[1]); {
		case options[0] == 1: // no operation
			options = options[1:]
		case options[0] == 2 && len(options) >= 4:
			return int(binary.BigEndian.Uint16(options[2:]))
		case n < 2 || n > len(options):
			return 0
		default:
			options = options[n:]
		}
	}
	return 0
}

// refused: a closed port is known to the program at once.
func refused(t *testing.T, c *running, s *side, f family) {
	addr := netip.AddrPortFrom(s.addr(refusing, f.like), 9)
	for _, size := range []int{1, 100, c.mtu(t, s) - f.header(), 3000} {
		var conn net.Conn
		err := c.Client.Do(func() (err error) {
			conn, err = net.Dial("udp", addr.String())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		if _, err = conn.Write(bytes.Repeat([]byte{1}, size)); err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a datagram of %d bytes to %v: %v, want connection refused", size, addr, err)
		}
		conn.Close()
	}
}
