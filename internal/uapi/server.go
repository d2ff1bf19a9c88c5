package uapi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"multihop/internal/sock"
)

// Dir is where WireGuard's tools look for sockets: a name in it is that of an
// interface.
const Dir = "/var/run/wireguard"

// Bounds of what a client may hold.
const (
	maxConns    = 8
	maxSet      = 1 << 20 // bytes of a set operation that are read before it is refused
	ioTimeout   = 5 * time.Second
	acceptRetry = 100 * time.Millisecond
)

// Error numbers of the protocol: negated errno of Linux, on every system.
const (
	success   = 0
	notOwner  = -1  // EPERM
	ioError   = -5  // EIO
	malformed = -22 // EINVAL
)

// A Get writes a device's answer to "get", without the errno line, as
// device.IpcGetOperation does.
type Get func(io.Writer) error

// A Server serves the socket of one hop.
type Server struct {
	get    Get
	log    *slog.Logger
	l      net.Listener
	closed chan struct{}

	mu     sync.Mutex
	open   map[net.Conn]struct{} // nil: closed is closed
	active sync.WaitGroup        // connections
}

// Name is the interface's name under which wg knows a hop.
func Name(tun, hop string) string { return tun + "." + hop }

// Listen makes the socket of an interface in dir, with mode 0600. Serve answers
// on it. A nil log discards.
func Listen(dir, iface string, get Get, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l, err := sock.Listen(dir, sock.SharedDir, iface+".sock")
	if err != nil {
		return nil, fmt.Errorf("uapi: %s: %w", iface, err)
	}
	return &Server{
		get:    get,
		log:    log.With("uapi", iface),
		l:      netutil.LimitListener(l, maxConns),
		closed: make(chan struct{}),
		open:   make(map[net.Conn]struct{}),
	}, nil
}

// Serve answers until Close.
func (s *Server) Serve() {
	for {
		c, err := s.l.Accept()
		if err != nil { // Close, or no descriptors left: then others will be closed
			select {
			case <-s.closed:
				return
			case <-time.After(acceptRetry):
			}
			s.log.Warn("accept failed", "err", err)
			continue
		}
		if !s.track(c) {
			_ = c.Close()
			return
		}
		go func() { // until converse returns: Close ends it
			defer s.forget(c)
			s.converse(c)
		}()
	}
}

// Close removes the socket, ends every connection and waits for them. It is
// idempotent.
func (s *Server) Close() error {
	err := s.l.Close()
	s.mu.Lock()
	if s.open != nil {
		close(s.closed)
	}
	for c := range s.open {
		_ = c.Close()
	}
	s.open = nil
	s.mu.Unlock()
	s.active.Wait()
	return err
}

func (s *Server) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		return false
	}
	s.open[c] = struct{}{}
	s.active.Add(1)
	return true
}

func (s *Server) forget(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	s.active.Done()
}

// converse answers one operation after the other.
func (s *Server) converse(c net.Conn) {
	r := bufio.NewReaderSize(c, 4096)
	for {
		if c.SetDeadline(time.Now().Add(ioTimeout)) != nil {
			return
		}
		op, err := r.ReadSlice('\n') // longer than the buffer: no operation
		if err != nil {
			return
		}
		var answer bytes.Buffer
		switch string(op) {
		case "get=1\n":
			err = s.answerGet(r, &answer)
		case "set=1\n":
			err = s.refuseSet(r, &answer)
		default:
			return // as wireguard-go does
		}
		if err != nil {
			return
		}
		if _, err := answer.WriteTo(c); err != nil {
			return
		}
	}
}

func (s *Server) answerGet(r *bufio.Reader, answer *bytes.Buffer) error {
	end, err := r.ReadByte()
	if err != nil {
		return err
	}
	code := success
	if end != '\n' {
		code = malformed
	} else if err := s.get(answer); err != nil {
		s.log.Warn("get failed", "err", err)
		answer.Reset() // half an answer would pass for a whole one
		code = ioError
	}
	fmt.Fprintf(answer, "errno=%d\n\n", code)
	return nil
}

// refuseSet reads the operation to its blank line before it answers: a client
// that is still writing would see a broken pipe instead of the reason.
func (s *Server) refuseSet(r *bufio.Reader, answer *bytes.Buffer) error {
	for left := maxSet; ; {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 1 {
			break
		}
		if left -= len(line); left < 0 {
			return errors.New("uapi: set operation too long")
		}
	}
	s.log.Debug("set refused")
	fmt.Fprintf(answer, "errno=%d\n\n", notOwner)
	return nil
}
