package router

import (
	"net/netip"
	"testing"
	"time"
)

// TestRenew: a handshake of a carried hop that got lost before its carrier had a
// session is begun anew once it has one, not 5 s after the first.
func TestRenew(t *testing.T) {
	l := newLab(t, nil)
	l.entry.Stop()
	l.exit.Outside().Divert(func([]byte) [][]byte { return nil }) // its answer to the first is lost
	l.start()
	l.ready()
	hop := func(name string) *port { return l.r.table.Load().hop(name).port.Load() }
	asked := func() int64 { return hop("exit").seeker.asked.Load() }

	l.send(udp(netip.AddrPortFrom(entryTunnel, 4000), netip.AddrPortFrom(farNet.Addr().Next(), 7), []byte("first")))
	eventually(t, 5*time.Second, "the exit's handshake begins", func() bool { return asked() != 0 })
	first := asked()
	must(t, l.entry.Start())
	entry := hop("entry").peer(l.entry.PublicKey())
	for range 10 { // its own next try is seconds away; right after that, the relay ignores another
		entry.ExpireCurrentKeypairs()
		must(t, entry.SendHandshakeInitiation(false))
		if happens(300*time.Millisecond, func() bool { return !l.hop("entry").Peers[0].LatestHandshake.IsZero() }) {
			break
		}
	}
	l.exit.Outside().Divert(nil)

	eventually(t, 4*time.Second, "the exit's session", func() bool { return !l.hop("exit").Peers[0].LatestHandshake.IsZero() })
	if took := time.Duration(asked() - first); took <= 0 || took >= 5*time.Second {
		t.Errorf("the second try came %v after the first", took)
	}
}

// TestInVain: who asks anew, and who does not.
func TestInVain(t *testing.T) {
	r := New(nil)
	at := func(s float64) time.Time { return r.born.Add(time.Duration(s * float64(time.Second))).Round(0) } // wall clock
	never := time.Unix(0, 0)
	for _, tt := range []struct {
		name                       string
		asked, carried, had, known time.Time // had: the hop's last handshake
		now                        time.Time
		want                       bool
	}{
		{"asked, then the carrier's handshake", at(100), at(103), time.Time{}, at(104), at(104), true},
		{"never asked", never, at(103), time.Time{}, at(104), at(104), false},
		{"asked since", at(103.5), at(103), time.Time{}, at(104), at(104), false},
		{"answered", at(100), at(103), at(103.2), at(104), at(104), false},
		{"what is known is older", at(100), at(103), time.Time{}, at(103.2), at(104), false},
		{"too early", at(100), at(103), time.Time{}, at(103.4), at(103.4), false},
		{"long ago", at(100), at(103), time.Time{}, at(114), at(114), false},
		{"its session lives", at(1000), at(1003), at(900), at(1004), at(1004), false},
		{"its session is old", at(1000), at(1003), at(800), at(1004), at(1004), true},
		{"the carrier has none", at(100), time.Time{}, time.Time{}, at(104), at(104), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &poll{at: int64(tt.known.Sub(r.born)), peers: map[Key]polledPeer{{1}: {handshake: tt.had}}}
			if got := p.inVain(r, tt.asked, tt.carried, tt.now); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
	if (*poll)(nil).inVain(r, at(100), at(103), at(104)) {
		t.Error("nothing is known of it")
	}
}
