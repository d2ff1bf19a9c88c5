package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"multihop/conf"
)

// dryRun prints what run would do to the host, and does nothing but look names
// and routes up.
func (o *order) dryRun(ctx context.Context, out io.Writer, log *slog.Logger) error {
	name, err := o.tun()
	if err != nil {
		return err
	}
	in := newInstance(name, o, newProgress(out, true, new(meter)), log)
	in.dry = true
	d, err := in.prepare(ctx)
	if in.host != nil {
		defer func() { _ = in.host.Release() }() // nothing was done
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(out)
	s := &d.conf.Settings
	hooksOf := func(stage string, list []conf.Hook) {
		for i := range list {
			fmt.Fprintln(out, hookLine(stage, i, len(list)))
		}
	}
	hooksOf("PreUp", s.PreUp)
	fmt.Fprintln(out, tunLine(name))
	if !in.bare {
		lines, err := in.host.Plan(d.host, 0)
		if err != nil {
			return err
		}
		for _, l := range lines {
			fmt.Fprintln(out, l)
		}
	}
	hooksOf("PostUp", s.PostUp)
	found, err := in.nested(d.host)
	for _, f := range found {
		fmt.Fprintf(out, "warning: %s\n", f)
	}
	return err
}

// tunLine is the line about the TUN itself.
func tunLine(name string) string { return "[#] ip tuntap add mode tun dev " + name }
