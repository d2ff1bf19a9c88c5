package netlab

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A TunnelConfig is one WireGuard interface.
type TunnelConfig struct {
	Name       string // interface; unique on the machine: see Lab.Unique
	PrivateKey Key
	ListenPort uint16
	FwMark     uint32
	MTU        int            // 0: 1420
	Addrs      []netip.Prefix // of the interface
	Routes     []netip.Prefix // into the interface
	Peers      []TunnelPeer
}

// A TunnelPeer is a peer of a WireGuard interface.
type TunnelPeer struct {
	PublicKey    Key
	PresharedKey Key
	Endpoint     netip.AddrPort // zero: learned
	AllowedIPs   []netip.Prefix
	Keepalive    int // seconds
}

// A Tunnel is a WireGuard interface of a host, run by wireguard-go.
type Tunnel struct {
	Process *Process
	Config  TunnelConfig

	tb      testing.TB
	host    *Host
	program string
}

// StartTunnel runs the wireguard-go at path program on h with the interface,
// addresses and routes of c, and returns once it is configured and up. The
// tunnel ends with the test.
//
// The routes go first where they matter: wireguard-go caches the source
// address of a peer's endpoint, so a tunnel inside another tunnel has to be
// started after the route to its endpoint.
func (h *Host) StartTunnel(tb testing.TB, program string, c TunnelConfig) *Tunnel {
	tb.Helper()
	t := &Tunnel{Config: c, tb: tb, host: h, program: program}
	tb.Cleanup(func() { _ = os.Remove(t.socket()) }) // a killed process leaves it
	t.Start()
	return t
}

// Start starts the tunnel's process, again after Kill or Stop: same keys, same
// port, no sessions.
func (t *Tunnel) Start() {
	t.tb.Helper()
	// WG_PROCESS_FOREGROUND stays unset: see wireguard-go's main.go.
	t.Process = t.host.Start(t.tb, []string{"LOG_LEVEL=error"}, t.program, "-f", t.Config.Name)
	if err := t.configure(); err != nil {
		t.tb.Fatalf("netlab: %s: tunnel %s: %v\n%s", t.host.Name, t.Config.Name, err, t.Process.Output())
	}
}

// Kill ends the process by SIGKILL: the interface, its addresses and routes
// vanish.
func (t *Tunnel) Kill() { t.Process.Kill() }

// Stop ends the process by SIGTERM.
func (t *Tunnel) Stop() { _ = t.Process.Stop() }

func (t *Tunnel) configure() error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		_, err := t.uapi("get=1\n\n")
		if err == nil {
			break
		}
		if time.Now().After(deadline) || t.Process.Exited() {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := t.uapi(t.Config.uapi()); err != nil {
		return err
	}
	for _, p := range t.Config.Addrs {
		if err := t.host.addr(t.Config.Name, p); err != nil {
			return fmt.Errorf("address %v: %w", p, err)
		}
	}
	if t.Config.MTU != 0 {
		t.host.SetMTU(t.Config.Name, t.Config.MTU)
	}
	t.host.Up(t.Config.Name)
	for _, p := range t.Config.Routes {
		t.host.Onto(t.Config.Name, p.String())
	}
	return nil
}

func (c *TunnelConfig) uapi() string {
	var b strings.Builder
	fmt.Fprintf(&b, "set=1\nprivate_key=%s\nlisten_port=%d\nfwmark=%d\nreplace_peers=true\n", c.PrivateKey.Hex(), c.ListenPort, c.FwMark)
	for _, p := range c.Peers {
		fmt.Fprintf(&b, "public_key=%s\n", p.PublicKey.Hex())
		if !p.PresharedKey.IsZero() {
			fmt.Fprintf(&b, "preshared_key=%s\n", p.PresharedKey.Hex())
		}
		if p.Endpoint.IsValid() {
			fmt.Fprintf(&b, "endpoint=%v\n", p.Endpoint)
		}
		if p.Keepalive != 0 {
			fmt.Fprintf(&b, "persistent_keepalive_interval=%d\n", p.Keepalive)
		}
		for _, a := range p.AllowedIPs {
			fmt.Fprintf(&b, "allowed_ip=%v\n", a)
		}
	}
	b.WriteByte('\n')
	return b.String()
}

func (t *Tunnel) socket() string {
	// Not /var/run: an absolute link would lead out of a Machine's files.
	return filepath.Join(t.host.Root(), "/run/wireguard", t.Config.Name+".sock")
}

// SetPeers replaces the tunnel's peers, and with them their sessions.
func (t *Tunnel) SetPeers(peers []TunnelPeer) error {
	t.Config.Peers = peers
	_, err := t.uapi(t.Config.uapi())
	return err
}

// Get returns the answer to a UAPI "get" of the tunnel's device, by line.
func (t *Tunnel) Get() ([]string, error) { return t.uapi("get=1\n\n") }

// uapi sends one request and returns the lines of its answer.
func (t *Tunnel) uapi(request string) ([]string, error) {
	c, err := net.Dial("unix", t.socket())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		return nil, err
	}
	var lines []string
	for s := bufio.NewScanner(c); s.Scan(); {
		line := s.Text()
		if line == "" {
			return lines, nil
		}
		if e, ok := strings.CutPrefix(line, "errno="); ok && e != "0" {
			return nil, fmt.Errorf("errno %s", e)
		}
		lines = append(lines, line)
	}
	return nil, io.ErrUnexpectedEOF
}
