package memnet

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.zx2c4.com/wireguard/device"

	"multihop/packet"
	"multihop/tun"
)

// maxFlows bounds what a Relay remembers; packets of further flows count for
// the zero Flow.
const maxFlows = 4096

// RelayOptions are the properties of a Relay. Zero fields mean the default.
type RelayOptions struct {
	Port uint16 // 51820
	MTU  int    // bytes inside the tunnel; 1420
}

// A Relay is a WireGuard server: a wireguard-go device with public addresses.
// It forwards what it decapsulates into the Net, as it is, and remembers what
// that was. It can be stopped and started again; its keys stay. It is safe for
// concurrent use.
type Relay struct {
	name    string
	addrs   []netip.Addr
	port    uint16
	mtu     int
	private *ecdh.PrivateKey
	net     *Net
	inside  *Host
	tun     atomic.Pointer[tun.Memory] // the device's; closed if the relay is stopped

	mu      sync.Mutex
	clients []Client
	dev     *device.Device // nil: stopped
	forward sync.WaitGroup

	flowsMu sync.Mutex
	flows   map[Flow]uint64
}

// A Client is a peer of a Relay.
type Client struct {
	PublicKey    [32]byte
	PresharedKey [32]byte       // zero: none
	Addrs        []netip.Addr   // tunnel addresses: the Net routes them to the relay
	AllowedIPs   []netip.Prefix // what the client may send from, and is sent; nil: Addrs
}

// A Flow is what a Relay's packets are counted by. Ports are 0 where a protocol
// has none.
type Flow struct {
	Proto uint8
	Src   netip.Addr
	Dst   netip.AddrPort
}

// NewRelay makes a relay with public addresses, at most one per family, and new
// keys. Start starts it; o may be nil.
func (n *Net) NewRelay(name string, addrs []netip.Addr, o *RelayOptions) (*Relay, error) {
	if o == nil {
		o = &RelayOptions{}
	}
	r := &Relay{name: name, addrs: addrs, port: o.Port, mtu: o.MTU, net: n, flows: make(map[Flow]uint64)}
	if r.port == 0 {
		r.port = 51820
	}
	if r.mtu == 0 {
		r.mtu = device.DefaultMTU
	}
	var err error
	if r.private, err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
		return nil, fmt.Errorf("memnet: %s: %w", name, err)
	}
	if _, err := n.udpHost(addrs); err != nil { // so that Outside is there
		return nil, err
	}
	if r.inside, err = n.Attach(name, r.deliver); err != nil {
		return nil, err
	}
	return r, nil
}

// PublicKey returns the relay's key.
func (r *Relay) PublicKey() [32]byte { return [32]byte(r.private.PublicKey().Bytes()) }

// Endpoint returns where clients reach the relay: its first address.
func (r *Relay) Endpoint() netip.AddrPort { return netip.AddrPortFrom(r.addrs[0], r.port) }

// Outside is the relay's public side: its WireGuard datagrams.
func (r *Relay) Outside() *Host { return r.net.Host(r.addrs[0]) }

// Inside is the relay's tunnel side: it sends what the relay decapsulated, and
// receives what is for its clients.
func (r *Relay) Inside() *Host { return r.inside }

// Start starts the relay, if it is stopped.
func (r *Relay) Start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dev != nil {
		return nil
	}
	mem := tun.NewMemory(&tun.MemoryOptions{Name: r.name, MTU: r.mtu, Batch: batchSize})
	dev := device.NewDevice(mem, r.net.Bind(r.addrs...), device.NewLogger(device.LogLevelSilent, ""))
	err := dev.IpcSet(r.configLocked())
	if err == nil {
		err = dev.Up()
	}
	if err != nil {
		dev.Close()
		return fmt.Errorf("memnet: %s: %w", r.name, err)
	}
	r.dev = dev
	r.tun.Store(mem)
	r.forward.Go(func() { r.run(mem) })
	return nil
}

// Stop ends the relay: it forgets its sessions and answers nothing until it is
// started again. It may be called again.
func (r *Relay) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dev == nil {
		return
	}
	r.dev.Close() // and r.tun with it, which ends run
	r.forward.Wait()
	r.dev = nil
}

// Add adds a client, or changes the one with that key, also while the relay
// runs.
func (r *Relay) Add(c Client) error {
	if c.AllowedIPs == nil {
		c.AllowedIPs = whole(c.Addrs)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fresh := make([]netip.Addr, 0, len(c.Addrs))
	for _, a := range c.Addrs {
		if r.net.Host(a) != r.inside {
			fresh = append(fresh, a)
		}
	}
	if err := r.net.add(r.inside, whole(fresh)); err != nil {
		return err
	}
	r.clients = slices.DeleteFunc(r.clients, func(o Client) bool { return o.PublicKey == c.PublicKey })
	r.clients = append(r.clients, c)
	if r.dev == nil {
		return nil
	}
	if err := r.dev.IpcSet(c.config()); err != nil {
		return fmt.Errorf("memnet: %s: %w", r.name, err)
	}
	return nil
}

func (r *Relay) configLocked() string {
	var b strings.Builder
	fmt.Fprintf(&b, "private_key=%x\nlisten_port=%d\n", r.private.Bytes(), r.port)
	for i := range r.clients {
		b.WriteString(r.clients[i].config())
	}
	return b.String()
}

// config is the client in the form of the UAPI.
func (c *Client) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "public_key=%s\npreshared_key=%s\nreplace_allowed_ips=true\n",
		hex.EncodeToString(c.PublicKey[:]), hex.EncodeToString(c.PresharedKey[:]))
	for _, p := range c.AllowedIPs {
		fmt.Fprintf(&b, "allowed_ip=%s\n", p)
	}
	return b.String()
}

// Inject sends packets into the tunnel of the client whose allowed IPs have
// their destination, whatever their source, as a relay can that lies. It
// returns how many were queued.
func (r *Relay) Inject(pkts ...[]byte) int { return r.deliver(pkts) }

func (r *Relay) deliver(pkts [][]byte) int {
	if mem := r.tun.Load(); mem != nil {
		return mem.Inject(pkts)
	}
	return 0
}

// run forwards what the device decapsulated until mem is closed.
func (r *Relay) run(mem *tun.Memory) {
	bufs, sizes, pkts := make([][]byte, batchSize), make([]int, batchSize), make([][]byte, batchSize)
	for i := range bufs {
		bufs[i] = make([]byte, device.MaxMessageSize)
	}
	for {
		n, err := mem.ReadPackets(context.Background(), bufs, sizes)
		if err != nil {
			return
		}
		for i := range n {
			pkts[i] = bufs[i][:sizes[i]]
		}
		r.count(pkts[:n])
		r.inside.Send(pkts[:n])
	}
}

func (r *Relay) count(pkts [][]byte) {
	r.flowsMu.Lock()
	defer r.flowsMu.Unlock()
	for _, p := range pkts {
		var f Flow
		var m packet.Meta
		if m.Parse(p) == packet.OK {
			f = Flow{m.Proto, m.Src, netip.AddrPortFrom(m.Dst, m.DstPort)}
		}
		if _, ok := r.flows[f]; !ok && len(r.flows) >= maxFlows {
			f = Flow{}
		}
		r.flows[f]++
	}
}

// Forwarded returns how many packets of each flow the relay decapsulated so
// far, stops and starts included. Those that are no whole IP packet count for
// the zero Flow.
func (r *Relay) Forwarded() map[Flow]uint64 {
	r.flowsMu.Lock()
	defer r.flowsMu.Unlock()
	return maps.Clone(r.flows)
}
