package host

import (
	"errors"
	"reflect"
	"slices"

	"multihop/internal/resolv"
)

// dns is which resolvers the host asks.
type dns struct{ resolv.Record }

func (c *dns) key() string { return "dns" }

// after asks what the change will be. What there was before the first stays the
// record's. Of settings that this process has put in force nothing is asked: who
// answers may take its time, and watchDNS looks.
func (c *dns) after(k *kernel, old change) (change, error) {
	ctx, cancel := dnsContext()
	defer cancel()
	next := *c
	if old, ok := old.(*dns); ok {
		if k.sure && reflect.DeepEqual(old.Settings, c.Settings) {
			return old, nil
		}
		next = *old
		next.Settings = c.Settings
		if changed, _, err := k.dns.Check(ctx, next.Record); err == nil {
			next.Record = changed
		}
		return &next, nil
	}
	err := k.try("prepare DNS", func() (err error) {
		next.Record, err = k.dns.Prepare(ctx, c.Settings)
		return err
	})
	return &next, err
}

func (c *dns) do(k *kernel, _ change) error {
	ctx, cancel := dnsContext()
	defer cancel()
	return k.try("apply DNS", func() error {
		warnings, err := k.dns.Apply(ctx, c.Record)
		for _, w := range warnings {
			if !slices.Contains(k.warnings, w) {
				k.warn("%s", w)
			}
		}
		return err
	})
}

// undo leaves alone what somebody else changed meanwhile.
func (c *dns) undo(k *kernel) error {
	ctx, cancel := dnsContext()
	defer cancel()
	err := k.try("undo DNS", func() error { return k.dns.Undo(ctx, c.Record) })
	if errors.Is(err, resolv.ErrChanged) {
		k.warn("%v", err)
		return nil
	}
	return err
}

func (c *dns) holds(k *kernel) (ok bool, err error) {
	ctx, cancel := dnsContext()
	defer cancel()
	err = k.try("check DNS", func() error {
		_, ok, err = k.dns.Check(ctx, c.Record)
		return err
	})
	return ok, err
}

func (c *dns) lines(string, change) []string { return c.Record.Lines() }
func (c *dns) undoLines(string) []string     { return c.Record.UndoLines() }
