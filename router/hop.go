package router

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"

	"multihop/internal/frag"
)

// A hop is one running tunnel. Its name, its tunnel addresses and whether it is
// carried never change: where the configuration changes them, a new hop takes
// its place. All else changes in place: see change.go. Its device may be
// restarted.
type hop struct {
	r     *Router
	name  string
	inner bool       // carried by another hop; else it is on the host's network
	addr4 netip.Addr // tunnel addresses; invalid: none of that family
	addr6 netip.Addr

	set    atomic.Pointer[settings]
	mtuNow atomic.Int32 // the configured MTU, or less while a smaller path MTU is known

	port       atomic.Pointer[port] // of the running device; nil: it does not run
	sockets    atomic.Pointer[sockets]
	closed     atomic.Pointer[closedLinks]
	socketMu   sync.Mutex                          // serialises changes of sockets
	pieces     atomic.Pointer[frag.Reassembler]    // of the sockets' datagrams; nil: it never had a socket
	far        atomic.Pointer[map[netip.Addr]bool] // endpoints of the hops that it carries
	listenPort atomic.Uint32

	life sync.Mutex // serialises start, stop, rebind and changes of set

	mu       sync.Mutex
	failed   error     // why the device does not run; nil: it does, or was stopped
	failures int       // in a row
	retry    time.Time // when to restart it
	started  time.Time
	gone     bool // removed from the configuration, or the router is closed
	pathMTU  int  // learned, of the hop's datagrams; 0: none
	pathEnds time.Time

	endMu sync.Mutex
	ends  map[Key]*end // of the peers; guarded by endMu

	blocked atomic.Pointer[string] // why the hop is down, itself or its carrier; nil: it is not

	// Packets at the seams, and drops.
	entered, left       atomic.Uint64 // outbound, data: port.Read, bind.Send
	received, decrypted atomic.Uint64 // inbound, data: receive, port.Write
	out, in             atomic.Uint64 // of the TUN
	carried             atomic.Uint64 // inbound, to sockets inside the tunnel
	split               atomic.Uint64 // outbound, what fragmenting added
	drops               drops
	used                atomic.Int64 // clock of the last successful Send
	complained          atomic.Int64 // clock of the last logged send error

	tellMu sync.Mutex
	told   *string // the state that was told last, as in blocked; guarded by tellMu

	polled  atomic.Pointer[poll]
	asking  atomic.Bool  // a poll is under way
	hears   atomic.Int64 // clock when the device last said that it had heard a peer; 0: never
	probing atomic.Bool  // handshakes are being sent to its peers
	pings   atomic.Pointer[pings]
	pinger  *socket // that the pings come from
}

// settings are what the configuration says of a hop. Immutable.
type settings struct {
	Hop       // as planned: MTU derived
	via  *hop // the carrier now: of a group, the active hop; nil: the host's network
	over int  // bytes that the hop adds to a packet, at most
}

func newSettings(cfg Hop, via *hop) *settings {
	return &settings{Hop: cfg, via: via, over: overhead(cfg.Peers)}
}

func newHop(r *Router, cfg Hop, via *hop) *hop {
	h := &hop{r: r, name: cfg.Name, inner: via != nil, ends: make(map[Key]*end)}
	h.set.Store(newSettings(cfg, via))
	h.setEnds(cfg.Peers)
	h.mtuNow.Store(int32(h.currentMTU()))
	h.addr4, h.addr6 = families(cfg.Addrs)
	h.sockets.Store(&sockets{})
	h.closed.Store(&closedLinks{})
	h.pings.Store(&pings{})
	h.pinger = &socket{hop: h, stop: make(chan struct{})}
	h.far.Store(&map[netip.Addr]bool{})
	return h
}

// families returns the address of each family; invalid: there is none.
func families(addrs []netip.Addr) (v4, v6 netip.Addr) {
	for _, a := range addrs {
		if a.Is4() {
			v4 = a
		} else {
			v6 = a
		}
	}
	return v4, v6
}

// conf returns what the configuration says of the hop now.
func (h *hop) conf() *settings { return h.set.Load() }

// via returns the hop's carrier; nil: the host's network.
func (h *hop) via() *hop { return h.set.Load().via }

// addr returns the hop's tunnel address of like's family; invalid: none.
func (h *hop) addr(like netip.Addr) netip.Addr {
	if like.Is4() {
		return h.addr4
	}
	return h.addr6
}

// mtu returns the size of the largest packet that the hop takes now.
func (h *hop) mtu() int { return int(h.mtuNow.Load()) }

// isDown reports whether the hop's routes reject.
func (h *hop) isDown() bool { return h.blocked.Load() != nil }

// isGone reports whether the hop was removed for good.
func (h *hop) isGone() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gone
}

// depends reports whether h is carrier, or is carried by it at any depth.
func (h *hop) depends(carrier *hop) bool {
	for ; h != nil; h = h.via() {
		if h == carrier {
			return true
		}
	}
	return false
}

// start brings the hop's device up. Its carrier must have been started.
func (h *hop) start() error {
	h.life.Lock()
	defer h.life.Unlock()
	return h.startLocked()
}

func (h *hop) startLocked() error {
	cfg := h.conf()
	p := newPort(h)
	var transport conn.Bind
	if h.inner {
		p.link = &link{child: h}
		transport = p.link
	} else {
		transport = h.r.newBind(h.name)
	}
	p.seeker = &seeker{Bind: transport}
	p.bind = &meteredBind{transport: p.seeker, port: p}
	p.dev = device.NewDevice(p, p.bind, h.r.deviceLogger(h.name))
	h.mu.Lock() // before the device may fail
	h.failed, h.started = nil, time.Now()
	h.mu.Unlock()
	err := p.dev.IpcSet(h.uapi(cfg))
	if err == nil {
		p.setPeers(cfg.Peers)
		h.port.Store(p) // complete: packets may come
		h.seek()
		err = p.dev.Up()
	}
	if err != nil {
		h.port.Store(nil)
		p.shutDown()
		return fmt.Errorf("router: starting hop %s: %w", h.name, err)
	}
	return nil
}

// stop closes the hop's device. It is idempotent.
func (h *hop) stop() {
	h.release() // another life operation may hang in a Send that waits
	h.life.Lock()
	defer h.life.Unlock()
	h.stopLocked()
}

func (h *hop) stopLocked() {
	if p := h.port.Swap(nil); p != nil {
		p.shutDown()
	}
}

// shutDown closes the port and what is around it: bind and device.
func (p *port) shutDown() {
	_ = p.Close() // never fails
	p.bind.release()
	p.dev.Close()
	// Nobody reads the ring now: count what it held.
	for {
		v := p.in.Peek(ringSlots)
		if v.N == 0 {
			return
		}
		for i := range v.N {
			switch from := v.Slot(i).Meta.from; {
			case from == nil:
				p.hop.drops.add(dropDown, 1)
			case from.user != nil:
				from.user.drops.add(dropCarrierDown, 1)
			default:
				p.hop.drops.add(dropCarrierDown, 1)
			}
		}
		v.Release(v.N)
	}
}

// release frees a Send that waits, from outside the locks of the device.
func (h *hop) release() {
	if p := h.port.Load(); p != nil {
		p.bind.release()
	}
}

// rebind opens the hop's socket anew; its session stays.
func (h *hop) rebind() error {
	h.release()
	h.life.Lock()
	defer h.life.Unlock()
	return h.rebindLocked()
}

func (h *hop) rebindLocked() error {
	p := h.port.Load()
	if p == nil {
		return nil
	}
	p.bind.release()
	if err := p.dev.BindUpdate(); err != nil {
		p.bind.release() // wireguard-go may leave sockets open, without their mark
		return fmt.Errorf("router: rebinding hop %s: %w", h.name, err)
	}
	return nil
}

// fail is told that the device of port p cannot go on: the hop is down until
// the supervisor has restarted it.
func (h *hop) fail(p *port, err error) {
	if h.port.Load() != p {
		return // of an earlier device
	}
	h.mu.Lock()
	first := h.failed == nil && !h.gone
	if first {
		h.failed = err
		h.failures++
		h.retry = time.Now().Add(backoff(h.failures))
	}
	h.mu.Unlock()
	if first {
		h.refresh() // its routes reject from now on
		h.r.kickSupervisor()
	}
}

// failStopped notes why the hop's device could not be started.
func (h *hop) failStopped(err error) {
	h.mu.Lock()
	h.failures++
	h.failed = err
	h.retry = time.Now().Add(backoff(h.failures))
	h.mu.Unlock()
	h.refresh()
	h.r.log.Warn("starting fails", "hop", h.name, "err", err)
}

// hasten makes a hop that waits for its restart due.
func (h *hop) hasten() {
	h.mu.Lock()
	waits := h.failed != nil
	if waits {
		h.retry, h.failures = time.Now(), 0
	}
	h.mu.Unlock()
	if waits {
		h.r.kickSupervisor()
	}
}

// backoff returns how long a hop that failed n times in a row stays down.
func backoff(n int) time.Duration { return min(time.Second<<min(n-1, 6), time.Minute) }

// sendFailed logs an error of the socket, at most every ten seconds.
func (h *hop) sendFailed(err error) {
	now := h.r.clock()
	last := h.complained.Load()
	if (last == 0 || now-last > int64(10*time.Second)) && h.complained.CompareAndSwap(last, now) {
		h.r.log.Warn("sending fails", "hop", h.name, "err", err)
	}
}

// uapi returns the device's configuration in the form of the UAPI. It holds
// the private key.
func (h *hop) uapi(cfg *settings) string {
	var u uapiText
	u.set("private_key", cfg.PrivateKey.hex())
	u.set("listen_port", cfg.ListenPort)
	if cfg.FwMark != 0 {
		u.set("fwmark", cfg.FwMark)
	}
	u.set("replace_peers", true)
	for i := range cfg.Peers {
		u.peer(&cfg.Peers[i], h.endpoint(cfg.Peers[i].PublicKey))
		for _, a := range cfg.Peers[i].AllowedIPs {
			u.set("allowed_ip", a)
		}
	}
	return u.String()
}

var errDied = errors.New("its device closed itself")
