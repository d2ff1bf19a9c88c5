package firewall

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"multihop/internal/netlab"
)

// TestMark has a marked socket's datagrams answered under a strict reverse path
// filter, where only packets with the mark are routed by the uplink.
func TestMark(t *testing.T) {
	s := sides()[0] // IPv6 has no such filter
	w := newWorld(t)
	serveUDP(t, w.isp, s.endpoint)
	// The default goes into the TUN; what is marked, by the uplink.
	w.client.Via(s.beyond.String(), "0.0.0.0/1", "128.0.0.0/1")
	w.client.Detour(testMark, s.lan.String())
	w.client.Detour(testMark+1, s.lan.String())
	w.client.Sysctl("ipv4/conf/all/rp_filter=1")
	w.client.Sysctl("ipv4/conf/all/src_valid_mark=1")
	f := open(t, w.client)
	if answered(w.client, s.endpoint, testMark, 3) {
		t.Fatal("the mark is kept without a table: this test proves nothing")
	}
	c := w.config()
	for _, kill := range []bool{false, true} {
		c.KillSwitch = kill
		apply(t, f, c)
		if !answered(w.client, s.endpoint, testMark, 20) {
			t.Errorf("kill switch %v: the answer to a marked datagram is lost", kill)
		}
	}
	c.KillSwitch = false
	apply(t, f, c)
	if answered(w.client, s.endpoint, testMark+1, 3) {
		t.Error("the mark of others is kept too")
	}
}

// TestMarkForeign checks that marks of others, on packets and on connections, are
// left alone.
func TestMarkForeign(t *testing.T) {
	s := sides()[0]
	w := newWorld(t)
	nft := netlab.RequireTool(t, "nft", "nftables")
	serveUDP(t, w.isp, s.endpoint)
	f := open(t, w.client)
	c := w.config()
	c.KillSwitch = false
	apply(t, f, c)
	// Another program keeps a mark of its own: in the connection from packets that
	// go, and on packets that come.
	run(t, w.client, nft, `
		table inet theirs {
			counter kept { }
			chain out { type filter hook postrouting priority mangle - 1; meta l4proto udp ct mark set 0x77; }
			chain in { type filter hook prerouting priority mangle - 1; ct mark 0x77 meta mark set 0x77; }
			chain see { type filter hook prerouting priority mangle + 1; meta mark 0x77 ct mark 0x77 counter name kept; }
		}`)
	if !answered(w.client, s.endpoint, 0, 20) {
		t.Fatal("no answer")
	}
	if got := list(t, w.client, nft, "counter", "inet", "theirs", "kept"); !positive(got) {
		t.Errorf("the mark of others was lost: %s", got)
	}
}

// serveUDP answers every datagram to addr, which is h's.
func serveUDP(t *testing.T, h *netlab.Host, addr netip.AddrPort) {
	t.Helper()
	var c *net.UDPConn
	err := h.Do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
}

// answered sends a datagram with a mark to addr, up to tries times, and reports
// whether one was answered.
func answered(h *netlab.Host, to netip.AddrPort, mark, tries int) bool {
	for range tries {
		err := h.Do(func() error {
			d := net.Dialer{Control: marked(mark)}
			c, err := d.Dial("udp", to.String())
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := c.Write([]byte("?")); err != nil {
				return err
			}
			_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			_, err = c.Read(make([]byte, 1))
			return err
		})
		if err == nil {
			return true
		}
	}
	return false
}
