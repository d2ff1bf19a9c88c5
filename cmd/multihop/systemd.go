package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// A service tells systemd what becomes of the process, if it is the main one of
// a unit (sd_notify(3)). Elsewhere it does nothing.
type service struct{ log *slog.Logger }

func (s service) ready() { s.notify(daemon.SdNotifyReady) }

// reloading is followed by ready, whatever becomes of it.
func (s service) reloading() { s.notify(append([]string{daemon.SdNotifyReloading}, monotonic()...)...) }

func (s service) status(text string) { s.notify("STATUS=" + text) }

func (s service) stopping() { s.notify(daemon.SdNotifyStopping, "STATUS=undoing what was set up") }

func (s service) notify(assignments ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(assignments, "\n")); err != nil {
		s.log.Debug("systemd is not told", "err", err)
	}
}

// looksPerPeriod is how often alive is asked in a period of the unit's
// WatchdogSec. systemd kills the process after a period without an answer, so what
// is only slow, as a lookup that times out, may cost several.
const looksPerPeriod = 6

// watchdog asks alive looksPerPeriod times in each period of the unit's
// WatchdogSec, and tells systemd that the process lives when it says so before the
// next time. It ends with ctx.
func (s service) watchdog(ctx context.Context, alive func(context.Context) error) {
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil || period <= 0 {
		return
	}
	every := period / looksPerPeriod
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			within, cancel := context.WithTimeout(ctx, every)
			err := alive(within)
			cancel()
			switch {
			case ctx.Err() != nil:
			case err != nil:
				s.log.Error("systemd is not told that all is well", "err", err)
			default:
				s.notify(daemon.SdNotifyWatchdog)
			}
		}
	}
}
