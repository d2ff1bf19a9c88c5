package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
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
	for deadline := time.Now().Add(10 * time.Second); len(envs) > 0 && envs[0][0] == "" && time.Now().Before(deadline); {
		// Start returns in the middle of execve, before the kernel shows the new environment.
		time.Sleep(time.Millisecond)
		envs = environmentsAbove(below.Process.Pid)
	}
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

// A multiplexer outlives the session that it was started in: whoever is connected
// to the same port may be attached to it.
func TestPeersIn(t *testing.T) {
	if os.Getenv(inPrivate) != "" {
		if out, err := exec.Command("ip", "link", "set", "up", "dev", "lo").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	listen := func() (port int) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l.Addr().(*net.TCPAddr).Port
	}
	connect := func(from string, port int) (env []string) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return []string{fmt.Sprintf("SSH_CONNECTION=%s %d 127.0.0.1 %d", from, c.LocalAddr().(*net.TCPAddr).Port, port)}
	}
	sshd, quiet := listen(), listen()
	live := connect("127.0.0.3", sshd)
	connect("127.0.0.2", sshd)
	connect("127.0.0.2", sshd)
	ended := []string{fmt.Sprintf("SSH_CONNECTION=192.0.2.7 50022 127.0.0.1 %d", sshd)}
	alone := []string{fmt.Sprintf("SSH_CONNECTION=192.0.2.7 50022 127.0.0.1 %d", quiet)}
	for _, tt := range []struct {
		name string
		envs [][]string
		want string
	}{
		{"none", [][]string{{"HOME=/root"}, nil}, "[]"},
		{"live", [][]string{live}, "[127.0.0.3]"},
		{"above", [][]string{{"HOME=/root"}, live}, "[127.0.0.3]"},
		{"ended", [][]string{ended}, "[127.0.0.2 127.0.0.3]"},
		{"ended, twice", [][]string{ended, ended}, "[127.0.0.2 127.0.0.3]"},
		{"ended, and live above", [][]string{ended, live}, "[127.0.0.3]"},
		{"ended, and nobody is there", [][]string{alone}, "[]"},
	} {
		if got := fmt.Sprint(peersIn(tt.envs)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
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
