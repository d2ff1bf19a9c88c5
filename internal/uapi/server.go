package uapi

import (
	"bufio"
	"bytes"
	"context"
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
	maxSet      = 1 << 20 // bytes of a set operation
	ioTimeout   = 5 * time.Second
	acceptRetry = 100 * time.Millisecond
)

// Error numbers of the protocol: negated errno of Linux, on every system.
const (
	success   = 0
	ioError   = -5  // EIO
	malformed = -22 // EINVAL
)

// A Device is what a socket speaks for. Its methods must be safe for concurrent
// use.
type Device interface {
	// Get writes the answer to "get", without the errno line, as
	// device.IpcGetOperation does.
	Get(io.Writer) error

	// Set does what the lines of a "set" say, to the blank one, all or nothing. An
	// error that has an ErrorCode() int64 says with which errno it is answered. The
	// context ends with the server.
	Set(context.Context, io.Reader) error
}

// A Server serves the socket of one hop.
type Server struct {
	dev  Device
	log  *slog.Logger
	l    net.Listener
	life context.Context // ends with Close
	end  context.CancelFunc

	mu     sync.Mutex
	open   map[net.Conn]struct{} // nil: life has ended
	active sync.WaitGroup        // connections
}

// Name is the interface's name under which wg knows a hop.
func Name(tun, hop string) string { return tun + "." + hop }

// Listen makes the socket of an interface in dir, with mode 0600. Serve answers
// on it. A nil log discards.
func Listen(dir, iface string, dev Device, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l, err := sock.Listen(dir, sock.SharedDir, iface+".sock")
	if err != nil {
		return nil, fmt.Errorf("uapi: %s: %w", iface, err)
	}
	s := &Server{
		dev:  dev,
		log:  log.With("uapi", iface),
		l:    netutil.LimitListener(l, maxConns),
		open: make(map[net.Conn]struct{}),
	}
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Serve answers until Close.
func (s *Server) Serve() {
	for {
		c, err := s.l.Accept()
		if err != nil { // Close, or no descriptors left: then others will be closed
			select {
			case <-s.life.Done():
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
	s.end()
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
			err = s.answerSet(r, &answer)
		default:
			return // as wireguard-go does
		}
		if err != nil {
			return
		}
		if c.SetDeadline(time.Now().Add(ioTimeout)) != nil { // a set takes the time that it takes
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
	} else if err := s.dev.Get(answer); err != nil {
		s.log.Warn("get failed", "err", err)
		answer.Reset() // half an answer would pass for a whole one
		code = ioError
	}
	fmt.Fprintf(answer, "errno=%d\n\n", code)
	return nil
}

// answerSet reads the whole operation before it is done: half of one, from a
// client that dies, changes nothing.
func (s *Server) answerSet(r *bufio.Reader, answer *bytes.Buffer) error {
	var lines bytes.Buffer
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 1 {
			break
		}
		if lines.Len()+len(line) > maxSet {
			return errors.New("uapi: set operation too long")
		}
		lines.Write(line)
	}
	code := int64(success)
	if err := s.dev.Set(s.life, &lines); err != nil {
		code = ioError
		var coded interface{ ErrorCode() int64 }
		if errors.As(err, &coded) {
			code = coded.ErrorCode()
		}
		s.log.Warn("a change by wg is refused", "err", err)
	}
	fmt.Fprintf(answer, "errno=%d\n\n", code)
	return nil
}
