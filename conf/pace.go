package conf

import (
	"errors"
	"fmt"
	"time"
)

// A pace is how fast the hops of a group are judged, as router.Group has it, in
// the order of paceKeys. 0: not given.
type pace [3]time.Duration

func paceKeys() [len(pace{})]string { return [...]string{"Quiet", "Patience", "Return"} }

// maxPace is in seconds.
const maxPace = 3600

// paceFields returns the keys of [Hop] that set its pace.
func paceFields() (fields []field) {
	for i, key := range paceKeys() {
		fields = append(fields, field{key, true, func(p *parser, v value) error {
			n, err := parseUint(v.text, maxPace)
			switch {
			case err != nil:
				return fmt.Errorf("%w (seconds)", err)
			case n == 0:
				return errors.New("0 is no time: want seconds")
			}
			p.hop().pace[i] = time.Duration(n) * time.Second
			return nil
		}})
	}
	return fields
}

// agreePace takes the pace from one of the hops of x. Others must not differ.
func (t *tree) agreePace(x *target, h *hopSpec) error {
	for i, key := range paceKeys() {
		switch {
		case h.pace[i] == 0:
		case !x.group:
			return h.fail(t.path, key, errNoGroup)
		case x.pace[i] != 0 && x.pace[i] != h.pace[i]:
			return h.fail(t.path, key, fmt.Errorf("%d, but another hop of %s says %d: keep one", h.pace[i]/time.Second, x.name, x.pace[i]/time.Second))
		default:
			x.pace[i] = h.pace[i]
		}
	}
	return nil
}

var errNoGroup = errors.New("only a group is probed: several files in Config, or several [Hop] with one Group")
