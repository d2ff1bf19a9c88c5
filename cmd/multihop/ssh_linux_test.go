package main

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestEnvironmentsAbove(t *testing.T) {
	below := exec.Command("sleep", "60")
	below.Env = []string{"SSH_CONNECTION=192.0.2.7 50022 192.0.2.1 22"}
	if err := below.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = below.Process.Kill()
		_ = below.Wait()
	}()
	envs := environmentsAbove(below.Process.Pid)
	if len(envs) == 0 || !slices.Equal(envs[0], append(below.Env, "")) {
		t.Errorf("environments %q, want first %q", envs, below.Env)
	}
	if got := parentIn("Name:\tx\nPPid:\t42\nUid:\t0\n"); got != 42 {
		t.Errorf("parent %d, want 42", got)
	}
	if got := parentIn("Name:\tx\n"); got != 0 {
		t.Errorf("parent %d of a process without", got)
	}
}

// A session counts while its connection is there.
func TestConnected(t *testing.T) {
	if os.Getenv(inPrivate) != "" { // a network of the tests' own
		if out, err := exec.Command("ip", "link", "set", "up", "dev", "lo").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s := session{
			client: netip.MustParseAddrPort(c.LocalAddr().String()),
			server: netip.MustParseAddrPort(c.RemoteAddr().String()),
		}
		if !connected(s) {
			t.Errorf("%v is connected", s)
		}
		s.client = netip.AddrPortFrom(s.client.Addr(), s.client.Port()^1)
		if connected(s) {
			t.Errorf("%v is not connected", s)
		}
	}
}

func TestEstablished(t *testing.T) {
	const list = "  sl  local_address rem_address   st tx_queue\n" +
		"   0: 0102000A:0016 00000000:0000 0A 00000000:00000000\n" + // 10.0.2.1:22 listens
		"   1: 0102000A:0016 0702000A:C366 01 00000000:00000000\n" + // to 10.0.2.7:50022
		"   2: 0102000A:0016 0702000A:C367 06 00000000:00000000\n" + // TIME_WAIT
		"   3: 0000000000000000FFFF00000102000A:0016 0000000000000000FFFF00000702000A:C368 01 0:0\n" +
		"nonsense\n"
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return // the list is that of a little-endian processor
	}
	for port, want := range map[uint16]bool{50022: true, 50023: false, 50024: true, 22: false} {
		s := session{
			client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 2, 7}), port),
			server: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 2, 1}), 22),
		}
		if got := established(strings.NewReader(list), s); got != want {
			t.Errorf("established(%v) = %v", s, got)
		}
	}
}
