package router

import (
	"errors"
	"net"
	"strings"
	"time"
)

// blockedAfter is how long a change of a device waits for its locks before the
// device's sockets are closed under a Send that may hold them.
const blockedAfter = 100 * time.Millisecond

// unblock runs do, a change of the device that needs locks which a Send that
// waits may hold. If it does not return soon, Send is freed, and the sockets are
// opened anew afterwards. The caller holds h.life.
func (h *hop) unblock(p *port, do func() error) error {
	if p.link != nil {
		p.link.hurry()
		defer p.link.resume()
	}
	done, freed := make(chan struct{}), make(chan bool)
	go func() { // until do returns
		t := time.NewTimer(blockedAfter)
		defer t.Stop()
		select {
		case <-done:
			freed <- false
		case <-t.C:
			p.bind.release()
			<-done
			freed <- true
		}
	}()
	err := do()
	close(done)
	if <-freed {
		err = errors.Join(err, h.rebindLocked())
	}
	return err
}

// ipcSet gives the device a "set" of the UAPI that does not open its sockets.
func (h *hop) ipcSet(p *port, u *uapiText) error {
	if u.Len() == 0 {
		return nil
	}
	return h.unblock(p, func() error { return p.dev.IpcSetOperation(strings.NewReader(u.String())) })
}

// listenAt opens the hop's socket at another port; 0: one is chosen. After an
// error the device has none.
func (h *hop) listenAt(p *port, port uint16) error {
	var u uapiText
	u.set("listen_port", port)
	p.bind.release()
	if err := p.dev.IpcSet(u.String()); err != nil {
		p.bind.release() // wireguard-go may leave sockets open, without their mark
		return err
	}
	if h.r.isClosing() {
		return net.ErrClosed
	}
	return nil
}
