package resolv

import (
	"context"

	"github.com/godbus/dbus/v5"
)

// watchBus calls tell when resolved may have lost the settings of the link,
// until ctx ends. A bus that goes away is waited for.
func (y *System) watchBus(ctx context.Context, tell func()) error {
	for {
		y.listen(ctx, tell)
		if err := sleep(ctx, busRetry); err != nil {
			return err
		}
	}
}

// listen does it on one connection, until that or ctx ends. Resolved says when
// its list of servers changes, and the bus when it was started again.
func (y *System) listen(ctx context.Context, tell func()) {
	b, err := y.dialBus(ctx)
	if err != nil {
		return
	}
	defer b.close()
	signals := make(chan *dbus.Signal, 16)
	b.conn.Signal(signals) // closed with the connection
	err = b.conn.AddMatchSignalContext(ctx,
		dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, resolve1))
	if err == nil {
		err = b.conn.AddMatchSignalContext(ctx,
			dbus.WithMatchSender(resolve1), dbus.WithMatchInterface("org.freedesktop.DBus.Properties"), dbus.WithMatchMember("PropertiesChanged"))
	}
	if err != nil {
		return
	}
	tell()
	for s := range signals {
		if !goesAway(s) {
			tell()
		}
	}
}

// goesAway reports whether a signal says that resolved has left the bus. What
// it was told cannot be told again before it is back.
func goesAway(s *dbus.Signal) bool {
	if s.Name != "org.freedesktop.DBus.NameOwnerChanged" || len(s.Body) != 3 {
		return false
	}
	owner, ok := s.Body[2].(string)
	return ok && owner == ""
}
