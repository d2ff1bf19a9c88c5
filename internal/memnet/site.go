package memnet

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.zx2c4.com/wireguard/tun/netstack"

	"multihop/tun"
)

const (
	maxBytes    = 1 << 30 // of one answer
	readTimeout = 10 * time.Second
)

// A Site is a host with a TCP/IP stack of its own and an HTTP server on port
// 80:
//
//	GET /           its name and the address that it saw the request come from
//	GET /bytes?n=N  N bytes
//	POST /          the length of the body
//
// It answers pings, as hosts do. It is safe for concurrent use.
type Site struct {
	name   string
	host   *Host
	dev    *tun.Queued
	server http.Server
	tasks  sync.WaitGroup
	close  sync.Once

	mu   sync.Mutex
	seen map[netip.Addr]int
}

// StartSite adds a site with these addresses to n and serves until Close.
func (n *Net) StartSite(name string, addrs ...netip.Addr) (*Site, error) {
	dev, stack, err := netstack.CreateNetTUN(addrs, nil, MTU)
	if err != nil {
		return nil, fmt.Errorf("memnet: %s: %w", name, err)
	}
	s := &Site{name: name, dev: tun.Queue(dev), seen: make(map[netip.Addr]int)}
	s.server.Handler = s.pages()
	s.server.ReadHeaderTimeout = readTimeout
	if s.host, err = n.Attach(name, s.deliver, whole(addrs)...); err != nil {
		return nil, errors.Join(err, s.dev.Close())
	}
	s.tasks.Go(s.send)
	for _, a := range addrs {
		l, err := stack.ListenTCPAddrPort(netip.AddrPortFrom(a, 80))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("memnet: %s: %w", name, err), s.Close())
		}
		s.tasks.Go(func() { _ = s.server.Serve(l) })
	}
	return s, nil
}

// Name returns the site's name.
func (s *Site) Name() string { return s.name }

// Host returns the site's place in the Net.
func (s *Site) Host() *Host { return s.host }

// Seen returns how many requests came from each address so far.
func (s *Site) Seen() map[netip.Addr]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.seen)
}

// Drops returns how many packets the site's own queues lost.
func (s *Site) Drops() tun.Drops { return s.dev.Drops() }

// Close ends the site; packets to it are dropped. It may be called again.
func (s *Site) Close() error {
	var err error
	s.close.Do(func() {
		err = s.server.Close()
		s.host.Settle() // what the server closed says goodbye
		err = errors.Join(err, s.dev.Close())
		s.tasks.Wait()
	})
	return err
}

func (s *Site) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, s.name, s.note(r))
	})
	mux.HandleFunc("GET /bytes", func(w http.ResponseWriter, r *http.Request) {
		s.note(r)
		n, err := strconv.Atoi(r.FormValue("n"))
		if err != nil || n < 0 || n > maxBytes {
			http.Error(w, "n is no number of bytes", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(n))
		_, _ = io.CopyN(w, zeros{}, int64(n))
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		s.note(r)
		n, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBytes))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, n)
	})
	return mux
}

// note counts a request and returns where it came from.
func (s *Site) note(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[from.Addr()]++
	return from.Addr()
}

func (s *Site) deliver(pkts [][]byte) int {
	n, _ := s.dev.Write(pkts, 0)
	return n
}

// send carries the stack's packets into the Net until it is closed.
func (s *Site) send() {
	bufs, sizes, pkts := make([][]byte, batchSize), make([]int, batchSize), make([][]byte, batchSize)
	for i := range bufs {
		bufs[i] = make([]byte, MTU)
	}
	for {
		n, err := s.dev.Read(bufs, sizes, 0)
		if err != nil {
			return
		}
		for i := range n {
			pkts[i] = bufs[i][:sizes[i]]
		}
		s.host.Send(pkts[:n])
	}
}

// zeros is a Reader of zeros without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
