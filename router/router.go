package router

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	wgtun "golang.zx2c4.com/wireguard/tun"

	"multihop/internal/queue"
)

// Options are what a Router may be given. The zero value of each field means
// its default.
type Options struct {
	// Logger takes what an operator may want to know. Default: nothing is
	// logged. It never gets a key.
	Logger *slog.Logger

	// Resolve returns the addresses of an endpoint's host name, for a hop of the
	// configuration. It is called when the hop is there and its carrier is up,
	// with backoff until it gives an address, and again when the peer has been
	// silent for a while; for several names at the same time; and its context
	// ends with the router. It may use ListenUDP of the hop's carrier. An address
	// that it returns may be sent to at once. Default: the system's resolver.
	Resolve func(ctx context.Context, hop, host string) ([]netip.Addr, error)

	// OnEvent is called for each change of a hop's state: from one goroutine,
	// without locks held. Events are coalesced while it does not return. It must
	// not call Close, which waits for it.
	OnEvent func(Event)

	// Bind returns the datagram transport of a hop on the host's network. Its
	// Close must end a Send that waits. Default: UDP sockets.
	Bind func(hop string) conn.Bind

	// Control is called for each UDP socket of a hop on the host's network before
	// it is bound, again at each rebind, as net.ListenConfig.Control is: to
	// protect it from a VPN, or bind it to an interface. Its error fails the hop.
	// Linux and Android only: elsewhere a hop does not start if it is set.
	Control func(network, address string, c syscall.RawConn) error
}

// A Router carries the packets of one TUN through its hops. Make one with New.
// All methods are safe for concurrent use.
type Router struct {
	opts Options
	log  *slog.Logger
	born time.Time

	table   atomic.Pointer[table]
	routing sync.Mutex // held while the TUN reader handles a batch
	hurried atomic.Bool

	unsettled bool // tests only: Apply leaves stale packets in hops

	tun    atomic.Pointer[tunSet]
	tunSet chan struct{} // a token: tun was set

	synth     *queue.Ring[struct{}]
	synthFrom queue.Producer
	icmp      bucket // the TUN reader's
	arrivals  *sync.Pool
	pieces    sync.Pool // of *pieceScratch
	waiters   *queue.Waiters

	read, wrote atomic.Uint64 // packets of the TUN
	gone        atomic.Uint64 // packets of the TUN that left through hops removed since
	drops       drops         // that belong to no hop, or to one removed since

	applying sync.Mutex // serialises Apply, changes of hops, SetTUN, restarts and Close
	pending  *Plan      // of an Apply before Run; guarded by applying
	current  *Plan      // that is in force; nil: none yet; guarded by applying
	running  bool       // guarded by applying

	farMu sync.Mutex // serialises refreshFar

	stale time.Duration // after which names are looked up again: staleAfter

	kick       chan struct{} // a token: the supervisor has work
	events     eventQueue
	goroutines sync.WaitGroup
	life       context.Context // ends with closing
	closing    <-chan struct{}
	end        context.CancelFunc
	starting   atomic.Pointer[[]*hop] // hops that are being started; nil: none
	closeOnce  sync.Once
	closed     chan struct{} // closed when Close is done
	readerDone chan struct{} // closed when Run no longer reads; nil before Run
}

// A tunSet is the TUN in use.
type tunSet struct {
	dev  wgtun.Device
	name string
}

// New returns a Router. It starts nothing: see Run. A nil o means all defaults.
func New(o *Options) *Router {
	if o == nil {
		o = &Options{}
	}
	r := &Router{
		opts:     *o,
		log:      o.Logger,
		born:     time.Now(),
		tunSet:   make(chan struct{}, 1),
		synth:    newSynth(),
		arrivals: newArrivals(),
		pieces:   sync.Pool{New: newPieceScratch},
		waiters:  queue.NewWaiters(),
		kick:     make(chan struct{}, 1),
		closed:   make(chan struct{}),
		stale:    staleAfter,
	}
	r.life, r.end = context.WithCancel(context.Background())
	r.closing = r.life.Done()
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.events.ready = make(chan struct{}, 1)
	t, _ := newTable(&Plan{cfg: &Config{}, lpm: new(routeTable)}, nil, nil) // without addresses nothing can fail
	r.table.Store(t)
	return r
}

// SetTUN gives the router a TUN, which it owns from then on, and closes the one
// before. With nil it has none: packets for it are dropped, and sessions stay.
// A TUN that is not the kernel's must be wrapped by tun.Queue. One that wraps the
// kernel's should have a method Unwrap() tun.Device (wireguard-go's): what the router
// reads of that has room for any super-packet. After an error
// from a router that is closed, or from dev itself, the caller still owns dev.
func (r *Router) SetTUN(dev wgtun.Device) error {
	var next *tunSet
	if dev != nil {
		name, err := dev.Name()
		if err != nil {
			return fmt.Errorf("router: name of the TUN: %w", err)
		}
		next = &tunSet{dev: dev, name: name}
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	if r.isClosing() {
		return net.ErrClosed
	}
	if cur := r.tun.Load(); cur != nil && cur.dev == dev {
		return nil
	}
	old := r.tun.Swap(next)
	select {
	case r.tunSet <- struct{}{}:
	default:
	}
	if old != nil {
		if err := old.dev.Close(); err != nil {
			return fmt.Errorf("router: closing TUN %s: %w", old.name, err)
		}
	}
	return nil
}

// writeTUN writes packets, at offset in bufs, to the TUN.
func (r *Router) writeTUN(bufs [][]byte, offset int) reason {
	set := r.tun.Load()
	if set == nil {
		return dropNoTUN
	}
	if _, err := set.dev.Write(bufs, offset); err != nil {
		return dropTUNWrite
	}
	r.wrote.Add(uint64(len(bufs)))
	return delivered
}

// Run applies the plan that Apply stored and carries packets until ctx ends,
// Close is called or the TUN fails. Then it closes the router. It returns nil
// unless the plan or the TUN failed, and net.ErrClosed if the router was closed
// before. It may be called once.
func (r *Router) Run(ctx context.Context) error {
	if err := r.begin(); err != nil {
		return err
	}
	if err := r.applyPending(); err != nil {
		close(r.readerDone)
		_ = r.Close()
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = r.Close() })
	defer stop()
	err := r.readTUN()
	close(r.readerDone)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return err
}

// begin starts the router's goroutines.
func (r *Router) begin() error {
	r.applying.Lock()
	defer r.applying.Unlock()
	if r.isClosing() {
		return net.ErrClosed
	}
	if r.running {
		return errors.New("router: Run was called before")
	}
	r.running = true
	r.goroutines.Add(2)
	go r.writeSynth() // until closing
	go r.supervise()  // until closing
	if r.opts.OnEvent != nil {
		r.goroutines.Add(1)
		go r.deliverEvents() // until closing
	}
	r.readerDone = make(chan struct{})
	return nil
}

// applyPending applies the plan of an Apply before Run, if there is one.
func (r *Router) applyPending() error {
	r.applying.Lock()
	defer r.applying.Unlock()
	plan := r.pending
	r.pending = nil
	switch {
	case r.isClosing():
		return net.ErrClosed
	case plan == nil:
		return nil
	}
	return r.applyLocked(plan)
}

func (r *Router) isClosing() bool {
	select {
	case <-r.closing:
		return true
	default:
		return false
	}
}

// Close stops the hops, leaves first, and closes the TUN. It waits for the
// router's goroutines, and for Run to stop reading, and is idempotent. So
// Options.OnEvent must not call it. Devices of wireguard-go end by themselves
// within a second.
func (r *Router) Close() error {
	var err error
	r.closeOnce.Do(func() {
		r.end()
		r.hurried.Store(true)
		// An Apply or restart under way may hang in a Send that waits.
		if fresh := r.starting.Load(); fresh != nil {
			for _, h := range *fresh {
				h.release()
			}
		}
		for _, h := range r.table.Load().order {
			h.release()
		}
		r.applying.Lock()
		hops := r.table.Load().order
		for i := len(hops) - 1; i >= 0; i-- {
			hops[i].remove()
		}
		reader := r.readerDone
		if set := r.tun.Load(); set != nil {
			if cerr := set.dev.Close(); cerr != nil && !errors.Is(cerr, os.ErrClosed) {
				err = fmt.Errorf("router: closing TUN %s: %w", set.name, cerr)
			}
		}
		r.applying.Unlock()
		r.synth.Close()
		if reader != nil {
			<-reader
		}
		r.goroutines.Wait()
		close(r.closed)
	})
	<-r.closed
	return err
}

// NetworkChanged says that the host's network changed: the hops on it get new
// sockets, and sessions stay. A hop whose socket fails is reported here, and
// restarted with backoff, which costs its session; one that waited for its
// restart is restarted at once.
func (r *Router) NetworkChanged() error {
	var errs []error
	for _, h := range r.table.Load().roots {
		h.hasten()
		h.retryNames()
		if err := h.rebind(); err != nil {
			if p := h.port.Load(); p != nil {
				h.fail(p, err)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Resumed says that the host was asleep: each hop that had a session makes a
// new one, carriers first. It does not wait for that.
func (r *Router) Resumed() {
	r.applying.Lock()
	defer r.applying.Unlock()
	if r.isClosing() {
		return
	}
	var stale []*device.Peer
	for _, h := range r.table.Load().order {
		p := h.port.Load()
		if p == nil {
			continue
		}
		for _, peer := range h.conf().Peers {
			if q := p.peer(peer.PublicKey); q != nil && h.hadSession(peer.PublicKey) {
				q.ExpireCurrentKeypairs()
				stale = append(stale, q)
			}
		}
	}
	r.goroutines.Add(1)
	go func() { // until the last message is sent, or its hop is released
		defer r.goroutines.Done()
		for _, q := range stale {
			_ = q.SendHandshakeInitiation(false) // wireguard-go logs and retries
		}
	}()
}

// UAPI writes the answer to a "get" of the WireGuard configuration protocol for
// one hop. It holds the hop's private key.
func (r *Router) UAPI(hop string, w io.Writer) error {
	h := r.table.Load().hop(hop)
	if h == nil {
		return fmt.Errorf("router: no hop is named %q", hop)
	}
	p := h.port.Load()
	if p == nil {
		return fmt.Errorf("router: hop %s is down", hop)
	}
	var b bytes.Buffer // not w, which may wait, while the device is locked
	if err := p.dev.IpcGetOperation(&b); err != nil {
		return fmt.Errorf("router: hop %s: %w", hop, err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// newBind returns the transport of a hop on the host's network.
func (r *Router) newBind(hop string) conn.Bind {
	if r.opts.Bind != nil {
		return r.opts.Bind(hop)
	}
	return r.newUDP(hop)
}

// deviceLogger passes wireguard-go's log on: its errors as warnings, the rest,
// which it writes much of, as debug messages.
func (r *Router) deviceLogger(hop string) *device.Logger {
	log := r.log.With("hop", hop)
	l := &device.Logger{
		Verbosef: device.DiscardLogf,
		Errorf:   func(format string, args ...any) { log.Warn(fmt.Sprintf(format, args...)) },
	}
	if log.Enabled(context.Background(), slog.LevelDebug) {
		l.Verbosef = func(format string, args ...any) { log.Debug(fmt.Sprintf(format, args...)) }
	}
	return l
}
