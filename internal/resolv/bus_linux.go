package resolv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	systemBus = "unix:path=/run/dbus/system_bus_socket"

	// How long a call may take: resolved answers from memory, unless it is being
	// started.
	busPatience = 10 * time.Second

	resolve1        = "org.freedesktop.resolve1"
	resolve1Path    = "/org/freedesktop/resolve1"
	resolve1Manager = "org.freedesktop.resolve1.Manager"
	resolve1Link    = "org.freedesktop.resolve1.Link"
	network1        = "org.freedesktop.network1"
	network1Path    = "/org/freedesktop/network1"
	network1Manager = "org.freedesktop.network1.Manager"
)

// A bus is a connection to the system bus, on which resolved is.
type bus struct {
	conn   *dbus.Conn
	cancel context.CancelFunc
}

// openBus connects to the bus. It fails if resolved is not there; start has the
// bus start it first.
func (y *System) openBus(ctx context.Context, start bool) (*bus, error) {
	b, err := y.dialBus(ctx)
	if err != nil {
		return nil, err
	}
	var there bool
	err = b.bus(ctx, "NameHasOwner", resolve1).Store(&there)
	if err == nil && !there {
		err = errors.New("resolv: systemd-resolved does not run")
		if start {
			var result uint32
			err = b.bus(ctx, "StartServiceByName", resolve1, uint32(0)).Store(&result)
		}
	}
	if err != nil {
		b.close()
		return nil, fmt.Errorf("resolv: %w", err)
	}
	return b, nil
}

// dialBus connects to the bus, until close or the end of ctx.
func (y *System) dialBus(ctx context.Context) (*bus, error) {
	address := y.Bus
	if address == "" {
		address = systemBus
	}
	ctx, cancel := context.WithCancel(ctx)
	defer time.AfterFunc(busPatience, cancel).Stop() // a bus that is stuck says no hello
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("resolv: system bus: %w", err)
	}
	return &bus{conn, cancel}, nil
}

// close ends the connection.
func (b *bus) close() {
	_ = b.conn.Close()
	b.cancel()
}

// A call is what a method answered.
type call struct {
	body []any
	err  error
}

// Store puts the answer into dst.
func (c call) Store(dst ...any) error {
	if c.err != nil {
		return c.err
	}
	return dbus.Store(c.body, dst...)
}

// bus calls a method of the bus itself.
func (b *bus) bus(ctx context.Context, method string, args ...any) call {
	return b.call(ctx, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus."+method, args...)
}

// manager calls a method of resolved.
func (b *bus) manager(ctx context.Context, method string, args ...any) call {
	return b.call(ctx, resolve1, resolve1Path, resolve1Manager+"."+method, args...)
}

// property reads a property of an object of resolved.
func (b *bus) property(ctx context.Context, path dbus.ObjectPath, iface, name string, dst any) error {
	var v dbus.Variant
	err := b.call(ctx, resolve1, path, "org.freedesktop.DBus.Properties.Get", iface, name).Store(&v)
	if err != nil {
		return err
	}
	return v.Store(dst)
}

func (b *bus) call(ctx context.Context, dest string, path dbus.ObjectPath, method string, args ...any) call {
	ctx, cancel := context.WithTimeout(ctx, busPatience)
	defer cancel()
	c := b.conn.Object(dest, path).CallWithContext(ctx, method, 0, args...)
	if c.Err != nil {
		return call{err: fmt.Errorf("%s: %w", method, c.Err)}
	}
	return call{body: c.Body}
}

// isError reports whether err is an error of that name from the bus.
func isError(err error, name string) bool {
	var e dbus.Error
	return errors.As(err, &e) && e.Name == name
}
