package lookup

import (
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Both kinds of socket carry the mark before their first packet.
func TestMarked(t *testing.T) {
	const mark = 0xca6d0001
	s := serve(t, host)
	listen, dial := Marked(mark)
	udp, err := listen(t.Context(), "udp4")
	if os.Geteuid() != 0 && err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs root, to mark sockets: %v", err)
		}
		t.Skipf("needs root, to mark sockets: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := dial(t.Context(), s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	plain, _ := Marked(0)
	unmarked, err := plain(t.Context(), "udp6")
	if err != nil {
		t.Fatal(err)
	}
	defer unmarked.Close()
	for _, tt := range []struct {
		name string
		conn syscall.Conn
		want uint32
	}{
		{"udp", udp.(*net.UDPConn), mark},
		{"tcp", tcp.(*net.TCPConn), mark},
		{"without a mark", unmarked.(*net.UDPConn), 0},
	} {
		if got := markOf(t, tt.conn); got != tt.want {
			t.Errorf("%s: mark %#x, want %#x", tt.name, got, tt.want)
		}
	}

	c := client(s)
	c.Listen, c.DialTCP = listen, dial
	if got, _, err := c.Lookup(t.Context(), "vpn.example.com"); err != nil || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
}

func markOf(t *testing.T, c syscall.Conn) uint32 {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	mark := 0
	var failed error
	err = raw.Control(func(fd uintptr) {
		mark, failed = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK)
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return uint32(mark)
}
