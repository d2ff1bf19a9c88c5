package resolv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
)

// Prepare looks at the host and says what Apply will change for s. It changes
// nothing. Settings without Servers give a record that changes nothing. Whether
// s.Link exists matters to Apply only.
func (y *System) Prepare(ctx context.Context, s Settings) (Record, error) {
	if len(s.Servers) == 0 {
		return Record{}, nil
	}
	r := Record{Settings: s}
	now, err := y.read()
	if err != nil {
		return Record{}, err
	}
	_, ours := now.find(s.Link)
	rest := now.without(y.gone(s.Link))
	owner := y.owner(rest)
	if b, err := y.openBus(ctx, owner == stub); err == nil {
		b.close()
		r.Resolved, r.Index = true, y.indexOf(s.Link)
		if owner == stub && !ours {
			return r, nil
		}
	}
	if owner == byResolvconf && y.program() != "" {
		r.Resolvconf = y.prefix() + s.Link
	} else {
		r.File = &rest
	}
	return r, nil
}

// Apply changes what r says. It may be called again, to restore it. After an
// error, Undo undoes what was done. The warnings are for the user: what the host
// cannot do, and who else is asked.
func (y *System) Apply(ctx context.Context, r Record) (warnings []string, err error) {
	warnings = r.warnings()
	if r.Resolved {
		if err := y.setLink(ctx, r); err != nil {
			return warnings, err
		}
	}
	if r.Resolvconf != "" {
		others, err := y.addRecord(ctx, r)
		if err != nil {
			return warnings, err
		}
		if len(others) > 0 {
			warnings = append(warnings, fmt.Sprintf("resolvconf keeps %s in %s: asked when the tunnel's resolvers do not answer", join(others, ", "), resolvConf))
		}
	}
	if r.File != nil {
		return warnings, y.replaceFile(ctx, r)
	}
	return warnings, nil
}

// Check reports whether what Apply did still holds. If not, Apply of next
// restores it; next may change more than r (somebody has replaced resolved's
// stub, say), so the caller journals it before.
func (y *System) Check(ctx context.Context, r Record) (next Record, intact bool, err error) {
	if len(r.Servers) == 0 {
		return r, true, nil
	}
	next, err = y.Prepare(ctx, r.Settings)
	if err != nil {
		return r, false, err
	}
	if next.Resolvconf == "" { // what was told is untold
		next.Resolvconf = r.Resolvconf
	}
	if next.Resolved != r.Resolved || next.Index != r.Index || next.Resolvconf != r.Resolvconf || (next.File == nil) != (r.File == nil) {
		return next, false, nil
	}
	now, err := y.read()
	if err != nil {
		return next, false, err
	}
	if r.File != nil {
		if l, ok := now.find(r.Link); !ok || l.Body != r.body() {
			return next, false, nil
		}
	}
	if r.Resolvconf != "" && r.File == nil && !y.lists(now, r.Settings) {
		return next, false, nil
	}
	if r.Resolved {
		intact, err = y.linkIsSet(ctx, r)
		return next, intact, err
	}
	return next, true, nil
}

// Undo brings back what was there before Apply, as far as that is still for us
// to say. It may be called again, in another process, and when Apply was not
// called. An error that is ErrChanged is no failure but something that the user
// should know: somebody else has replaced a file of ours, and it stays so.
func (y *System) Undo(ctx context.Context, r Record) error {
	var errs [3]error
	if r.File != nil {
		errs[0] = y.restoreFile(ctx, r)
	}
	if r.Resolvconf != "" {
		errs[1] = y.deleteRecord(ctx, r)
	}
	if r.Resolved {
		errs[2] = y.revertLink(ctx, r)
	}
	return errors.Join(errs[:]...)
}

// path is where a file of the host is.
func (y *System) path(name string) string { return filepath.Join("/", y.Root, name) }

// indexOf returns the index of an interface, 0 if there is none.
func (y *System) indexOf(link string) int {
	if y.index != nil {
		return y.index(link)
	}
	i, err := net.InterfaceByName(link)
	if err != nil {
		return 0
	}
	return i.Index
}

// gone reports of a layer whether nobody needs it any more: it is link's own, or
// its TUN has vanished, with a process that was killed or at a reboot.
func (y *System) gone(link string) func(string) bool {
	return func(l string) bool { return l == link || y.indexOf(l) == 0 }
}

// lists reports whether programs that read resolv.conf ask the servers of s,
// directly or by way of a program of this host that resolvconf has told.
func (y *System) lists(now Original, s Settings) bool {
	listed := nameservers(now.Content)
	if len(listed) > 0 && !slices.ContainsFunc(listed, func(a netip.Addr) bool { return !isLocal(a) }) {
		return true
	}
	for _, a := range s.Servers[:min(len(s.Servers), most)] {
		if !slices.Contains(listed, a.Unmap()) {
			return false
		}
	}
	return true
}
