package forest_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

const echoPort = 7002

// echo sends a line down a connection and waits for it to come back.
func echo(c net.Conn, timeout time.Duration) error {
	const line = "still there?\n"
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, line); err != nil {
		return err
	}
	back := make([]byte, len(line))
	if _, err := io.ReadFull(c, back); err != nil {
		return err
	}
	if string(back) != line {
		return fmt.Errorf("%q came back", back)
	}
	return nil
}

// TestEntryChanges: a reload puts another entry, with an address of its own, before
// the same exit. With Address connections through the exit survive that; without,
// the TUN's address was the old entry's, and they end with it.
func TestEntryChanges(t *testing.T) {
	g := newGrove(t)
	entries := []*hop{g.hop("entry", "", g.relay("first")), g.hop("entry", "", g.relay("second"))}
	exit := g.hop("exit", "entry", g.relay("exit"))
	exit.routes = only(1)
	g.startRelays(t)
	g.core.ServeTCP(t, echoPort, func(c net.Conn) { _, _ = io.Copy(c, c) })

	changes := func(t *testing.T, settings string) (broken []error) {
		g.settings = settings
		i := start(t, g.client, g.programs, g.profile(t, entries[0], exit))
		defer i.stop(t)
		var conns []net.Conn
		for _, a := range site(1).Both() {
			g.answered(t, a, exit.addrs.Of(a))
			err := g.client.Do(func() error {
				c, err := net.DialTimeout("tcp", netip.AddrPortFrom(a, echoPort).String(), patience)
				if err == nil {
					conns = append(conns, c)
					t.Cleanup(func() { _ = c.Close() })
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range conns {
			if err := echo(c, patience); err != nil {
				t.Fatal(err)
			}
		}
		g.profile(t, entries[1], exit)
		if out, err := i.command("reload", tun); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, a := range site(1).Both() { // by the new entry, the exit is reached
			g.answered(t, a, exit.addrs.Of(a))
		}
		for _, c := range conns {
			if err := echo(c, 5*time.Second); err != nil {
				broken = append(broken, err)
			}
		}
		return broken
	}
	if broken := changes(t, ""); len(broken) != 2 {
		t.Errorf("detector: without Address %d of 2 connections broke, want both", len(broken))
	}
	for _, err := range changes(t, "Address = 10.99.0.1, fd99::1") {
		t.Errorf("with Address: %v", err)
	}
}
