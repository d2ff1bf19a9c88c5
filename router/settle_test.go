package router

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
)

// TestStaleInCarrier: a hop has a session, its carrier has none, so the hop's
// encrypted packets wait in the carrier. Their prefix moves, or the hop goes.
// When the carrier's relay is back, none of them may arrive. The detector:
// without settling they do.
func TestStaleInCarrier(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		settle bool
		change func(l *lab)
	}{
		{"detector: without settling the exit sees them", false, func(l *lab) { l.cfg.Routes[0].Hop = "" }},
		{"the prefix rejects", true, func(l *lab) { l.cfg.Routes[0].Hop = "" }},
		{"the prefix moves", true, func(l *lab) { l.cfg.Routes[0].Hop = "sibling" }},
		{"the hop is removed", true, func(l *lab) {
			l.cfg.Hops = []Hop{l.cfg.Hops[0], l.cfg.Hops[2]}
			l.cfg.Routes = l.cfg.Routes[1:2]
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, nil)
			l.start()
			dst := farNet.Addr().Next()
			if _, ok := l.exchange(dst, 10*time.Second); !ok {
				t.Fatal("no path")
			}
			l.entry.Stop()
			old := l.r.table.Load().hop("entry").port.Load()
			old.dev.Close() // its next device has no session
			eventually(t, 20*time.Second, "a new device", func() bool {
				p := l.r.table.Load().hop("entry").port.Load()
				return p != nil && p != old && !l.hop("exit").Down
			})
			before := decapsulated(l.exit, dst)
			out := l.hop("exit").Out
			for range 50 {
				l.send(udp(netip.AddrPortFrom(entryTunnel, 4000), netip.AddrPortFrom(dst, 9), []byte("stale")))
			}
			eventually(t, 5*time.Second, "the packets are in the exit's device", func() bool { return l.hop("exit").Out >= out+50 })
			time.Sleep(100 * time.Millisecond)
			l.r.unsettled = !tt.settle
			tt.change(l)
			l.apply()
			must(t, l.entry.Start())
			deadline := time.Now().Add(15 * time.Second)
			for time.Now().Before(deadline) && decapsulated(l.exit, dst) == before {
				time.Sleep(100 * time.Millisecond)
				if _, ok := l.exchange(nearNet.Addr().Next(), 200*time.Millisecond); ok && tt.settle {
					break // the entry is back: what waited has left
				}
			}
			time.Sleep(300 * time.Millisecond)
			if n := decapsulated(l.exit, dst) - before; (n == 0) != tt.settle {
				t.Fatalf("the exit decapsulated %d packets of before", n)
			}
		})
	}
}

// TestSettleSparesTraffic: a change of one prefix of a busy hop loses nothing of
// the others, since what is inside leaves at once.
func TestSettleSparesTraffic(t *testing.T) {
	l := newLab(t, nil)
	extra := netip.MustParsePrefix("198.18.0.0/24")
	l.start()
	far := farNet.Addr().Next()
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	for i := range 30 {
		l.cfg.Routes = l.cfg.Routes[:3]
		if i%2 == 0 {
			l.cfg.Routes = append(l.cfg.Routes, Route{Prefix: extra, Hop: "exit"})
		}
		done := make(chan bool, 1)
		go func() {
			_, ok := l.exchange(far, 2*time.Second)
			done <- ok
		}()
		l.apply()
		if !<-done {
			t.Fatalf("round %d: an exchange beside the change was lost; drops %v", i, l.hop("exit").Drops)
		}
	}
}

// A sendFunc is a transport that only sends.
type sendFunc func(bufs [][]byte) error

func (f sendFunc) Open(uint16) ([]conn.ReceiveFunc, uint16, error) { return nil, 0, nil }
func (f sendFunc) Close() error                                    { return nil }
func (f sendFunc) SetMark(uint32) error                            { return nil }
func (f sendFunc) Send(bufs [][]byte, _ conn.Endpoint) error       { return f(bufs) }
func (f sendFunc) ParseEndpoint(string) (conn.Endpoint, error)     { return nil, errors.ErrUnsupported }
func (f sendFunc) BatchSize() int                                  { return rootBatch }

// encrypt reads what is in the port's ring, and returns it as data messages with the
// numbers of first and so on.
func encrypt(t *testing.T, p *port, first byte) (bufs [][]byte) {
	t.Helper()
	list := arrays(16)
	n, err := p.Read(list, make([]int, 16), 16)
	must(t, err)
	for i, b := range list[:n] {
		b[0], b[1] = device.MessageTransportType, first+byte(i)
		bufs = append(bufs, b[:64])
	}
	return bufs
}

// TestPurge: of what is being encrypted inside a device when it is purged, nothing
// leaves later but handshakes of carried hops; what comes after it leaves.
func TestPurge(t *testing.T) {
	for _, tt := range []struct {
		name  string
		purge bool
		want  []byte
	}{
		{"detector: unpurged, all leave", false, []byte{0, 1, 2, 10, 20, 21}},
		{"purged", true, []byte{10, 20, 21}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := twoPeers(t, New(nil))
			p.size = 128
			var sent []byte
			p.bind.transport = sendFunc(func(bufs [][]byte) error {
				for _, b := range bufs {
					sent = append(sent, b[1])
				}
				return nil
			})
			far := farNet.Addr().Next()
			push(t, p, 3, far)
			before := encrypt(t, p, 0)
			handshake := udp(netip.AddrPortFrom(p.hop.addr4, firstLinkPort), netip.AddrPortFrom(far, 51820), make([]byte, 148))
			if !p.in.PutControl(len(handshake), origin{generation: p.generation.Load()}, func(b []byte) { copy(b, handshake) }) {
				t.Fatal("no room")
			}
			before = append(before, encrypt(t, p, 10)...)
			if tt.purge {
				p.hop.purge(p)
			}
			push(t, p, 2, far)
			after := encrypt(t, p, 20)
			must(t, p.bind.Send(before[:1], nil))
			must(t, p.bind.Send(append(before[1:], after...), nil))
			if !bytes.Equal(sent, tt.want) {
				t.Errorf("sent %d, want %d", sent, tt.want)
			}
			if got, want := p.hop.drops[dropStale].Load(), uint64(6-len(tt.want)); got != want {
				t.Errorf("%d dropped as stale, want %d", got, want)
			}
		})
	}
}

// TestPurgeWaits: what a Send under way puts into the carrier's ring is stale, too;
// one that takes too long does not hold a purge up for ever.
func TestPurgeWaits(t *testing.T) {
	for _, d := range []time.Duration{linkWait, time.Second} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := twoPeers(t, New(nil))
				p.size = 128
				s := &socket{hop: p.hop}
				p.link = &link{child: p.hop}
				p.link.cur.Store(s)
				var epochs []uint32 // of what is sent
				p.bind.transport = sendFunc(func([][]byte) error {
					epochs = append(epochs, s.epoch.Load())
					time.Sleep(d)
					return nil
				})
				push(t, p, 1, farNet.Addr().Next())
				first := encrypt(t, p, 0)
				push(t, p, 1, farNet.Addr().Next())
				second := encrypt(t, p, 1)
				go func() {
					_ = p.bind.Send(first, nil)
					_ = p.bind.Send(second, nil) // it is stale by then
				}()
				synctest.Wait()
				start := time.Now()
				p.hop.purge(p)
				if took, want := time.Since(start), min(d, settleWait); took < want || took > want+5*time.Millisecond {
					t.Errorf("the purge took %v, want %v", took, want)
				}
				time.Sleep(2 * d)
				if now := s.epoch.Load(); len(epochs) != 1 || epochs[0] == now || p.hop.drops[dropStale].Load() != 1 {
					t.Errorf("sent in epochs %d, now %d; %d dropped as stale, want one each", epochs, now, p.hop.drops[dropStale].Load())
				}
			})
		})
	}
}

// TestStaleHandshake: what waits in a ring when its link is settled is dropped, but
// for handshakes; those go when the link is closed.
func TestStaleHandshake(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*socket)
		want   int // packets read, of one handshake and two packets of data
	}{
		{"detector: nothing happens", func(*socket) {}, 3},
		{"settled", func(s *socket) { s.epoch.Add(1) }, 1},
		{"closed", (*socket).close, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := twoPeers(t, New(nil))
			s, err := p.hop.listen(0, nil)
			must(t, err)
			to := netip.AddrPortFrom(farNet.Addr().Next(), 51820)
			if why := s.sendControl(make([]byte, 148), to); why != delivered {
				t.Fatal(why)
			}
			if n, why := s.send([][]byte{make([]byte, 100), make([]byte, 100)}, to, 0, func() bool { return false }); n != 0 {
				t.Fatalf("%d packets not sent: %v", n, why)
			}
			tt.change(s)
			n := 0
			for v := p.in.Peek(1); v.N > 0; v = p.in.Peek(1) {
				got, used, _ := p.take(&v, arrays(1), make([]int, 1), 16)
				v.Release(used)
				n += got
			}
			if dropped := int(p.hop.drops[dropStale].Load()); n != tt.want || dropped != 3-tt.want {
				t.Errorf("%d packets read and %d dropped as stale, want %d and %d", n, dropped, tt.want, 3-tt.want)
			}
		})
	}
}
