package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// journalSuffix ends the name of a journal's file.
const journalSuffix = ".json"

// journal is what an instance has changed, in a file: written before each
// change, so that another process can undo what this one leaves when it dies.
type journal struct {
	path string

	Name  string // the TUN
	Index int    `json:",omitempty"` // its interface number; 0: it was not there
	Netns string `json:",omitempty"`
	Mark  uint32 `json:",omitempty"` // of our own datagrams, see mark; 0: none yet
	Table uint32 `json:",omitempty"` // of our own; 0: none yet
	Slot  int    `json:",omitempty"` // tells instances apart, from 1; 0: none yet
	// Endpoints of the hops on the host's network, and Resolvers, for the other
	// instances.
	Endpoints []netip.AddrPort `json:",omitempty"`
	Resolvers []netip.Addr     `json:",omitempty"`
	Changes   entries
}

// entries are changes in the journal, without the routes.
type entries []change

// entry is one of them; exactly one field is not nil.
type entry struct {
	Namespace *namespace `json:",omitempty"`
	Wall      *wall      `json:",omitempty"`
	Sysctl    *sysctl    `json:",omitempty"`
	LinkMTU   *linkMTU   `json:",omitempty"`
	Address   *address   `json:",omitempty"`
	LinkUp    *linkUp    `json:",omitempty"`
	Place     *place     `json:",omitempty"`
	Rule      *rule      `json:",omitempty"`
	DNS       *dns       `json:",omitempty"`
}

func (e entries) MarshalJSON() ([]byte, error) {
	out := make([]entry, len(e))
	for i, c := range e {
		switch c := c.(type) {
		case *namespace:
			out[i].Namespace = c
		case *wall:
			out[i].Wall = c
		case *sysctl:
			out[i].Sysctl = c
		case *linkMTU:
			out[i].LinkMTU = c
		case *address:
			out[i].Address = c
		case *linkUp:
			out[i].LinkUp = c
		case *place:
			out[i].Place = c
		case *rule:
			out[i].Rule = c
		case *dns:
			out[i].DNS = c
		default:
			return nil, fmt.Errorf("a change of type %T", c)
		}
	}
	return json.Marshal(out)
}

func (e *entries) UnmarshalJSON(b []byte) error {
	var in []entry
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*e = nil
	for _, x := range in {
		switch {
		case x.Namespace != nil:
			*e = append(*e, x.Namespace)
		case x.Wall != nil:
			*e = append(*e, x.Wall)
		case x.Sysctl != nil:
			*e = append(*e, x.Sysctl)
		case x.LinkMTU != nil:
			*e = append(*e, x.LinkMTU)
		case x.Address != nil:
			*e = append(*e, x.Address)
		case x.LinkUp != nil:
			*e = append(*e, x.LinkUp)
		case x.Place != nil:
			*e = append(*e, x.Place)
		case x.Rule != nil:
			*e = append(*e, x.Rule)
		case x.DNS != nil:
			*e = append(*e, x.DNS)
		default:
			return errors.New("an entry of no known kind")
		}
	}
	return nil
}

// readJournal reads the journal of an instance; an empty one if there is none.
func readJournal(dir, name string) (*journal, error) {
	j := &journal{path: filepath.Join(dir, name+journalSuffix), Name: name}
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err == nil {
		err = json.Unmarshal(b, j)
	}
	if err == nil && j.Name != name {
		err = fmt.Errorf("is about %q", j.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", j.path, err)
	}
	return j, nil
}

// checkDir refuses a directory that others may write to: who can write a journal
// can have root undo things that were never done. One that is missing is right.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s: belongs to user %d, not to root nor to this user", dir, st.Uid)
	}
	if extra := info.Mode().Perm() & 0o022; extra != 0 {
		return fmt.Errorf("%s: others may write to it (%#o): chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}

// put writes a change down, in the place of the one with its key.
func (j *journal) put(c change) error {
	if _, ok := c.(*route); ok {
		return nil // its place stands for it
	}
	if i := j.index(c.key()); i >= 0 {
		j.Changes[i] = c
	} else {
		j.Changes = append(j.Changes, c)
	}
	return j.write()
}

// remove strikes out a change.
func (j *journal) remove(c change) error {
	if _, ok := c.(*route); ok {
		return nil
	}
	i := j.index(c.key())
	if i < 0 {
		return nil
	}
	j.Changes = slices.Delete(j.Changes, i, i+1)
	return j.write()
}

func (j *journal) index(key string) int {
	return slices.IndexFunc(j.Changes, func(c change) bool { return c.key() == key })
}

// announce sets, but does not write, what our own datagrams are.
func (j *journal) announce(mark uint32, endpoints []netip.AddrPort, resolvers []netip.Addr) {
	j.Mark = mark
	j.Endpoints, j.Resolvers = sortedEndpoints(endpoints), sortedAddrs(resolvers)
}

// mark returns the mark of our own datagrams by which the rules and the firewall
// know them; without those, the one that was chosen.
func (j *journal) mark() uint32 {
	mark := j.Mark
	for _, c := range j.Changes {
		switch c := c.(type) {
		case *rule:
			return c.Mark
		case *wall:
			if c.Mark != 0 {
				mark = c.Mark
			}
		}
	}
	return mark
}

// forgetTUN strikes out, but does not write, what went with an earlier TUN.
func (j *journal) forgetTUN(index int) {
	j.Index = index
	var rest entries
	for _, c := range j.Changes {
		switch c := c.(type) {
		case *linkMTU, *linkUp, *address:
		case *sysctl:
			if !c.isOf(j.Name) {
				rest = append(rest, c)
			}
		default:
			rest = append(rest, c)
		}
	}
	j.Changes = rest
}

// write replaces the file. It is not flushed to a disk: what it speaks of does
// not survive the machine either.
func (j *journal) write() error {
	b, err := json.MarshalIndent(j, "", "\t")
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	dir := filepath.Dir(j.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	err = os.WriteFile(j.next(), append(b, '\n'), 0o600)
	if err == nil {
		err = os.Rename(j.next(), j.path)
	}
	if err != nil {
		_ = os.Remove(j.next())
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// next returns the path of the file that takes the journal's place. Who has the
// instance's name has it, so what a crash left there is written over, or ends
// with the journal.
func (j *journal) next() string {
	return filepath.Join(filepath.Dir(j.path), "."+j.Name+".next")
}

// end removes the file of a journal without changes.
func (j *journal) end() error {
	if len(j.Changes) > 0 {
		return nil
	}
	for _, path := range []string{j.path, j.next()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("journal: %w", err)
		}
	}
	return nil
}
