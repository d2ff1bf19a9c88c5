package conf

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// LoadProfile reads the profile at path and the files that it names, which lie in
// its folder. A nil o overrides nothing. The error is an *Error, or says which
// flag is wrong.
//
// The profile may be read by others, unless it has keys itself, but not written
// to. Hooks run only if the profile and its folder belong to root and nobody
// else may write to them.
func LoadProfile(path string, o *Overrides) (*Instance, error) {
	if o == nil {
		o = new(Overrides)
	}
	c, errs := loadProfile(path, o)
	if len(errs) > 0 {
		return nil, o.join(errs)
	}
	return c, nil
}

// ReadProfile is LoadProfile for a profile that is no file, and is called name in
// errors and warnings. It names its files by absolute path. Hooks are refused in
// it, and ignored in its files. The Instance has no name, and its Files are without
// the profile.
func ReadProfile(name string, r io.Reader, o *Overrides) (*Instance, error) {
	over := Overrides{}
	if o != nil {
		over = *o
	}
	o, over.FileHooks = &over, false
	text, err := readText(name, r, 0, maxFile, "profile")
	if err != nil {
		return nil, err
	}
	p, errs := parseProfile(name, text, true)
	if len(errs) == 0 {
		errs = p.refuseHooks()
	}
	if len(errs) > 0 {
		return nil, o.join(errs)
	}
	c, errs := p.instance(&Instance{Warnings: p.warnings}, o)
	if len(errs) > 0 {
		return nil, o.join(errs)
	}
	return c, nil
}

// refuseHooks returns an error for each key of a hook.
func (p *profile) refuseHooks() (errs []error) {
	for _, key := range []string{"PreUp", "PostUp", "PreDown", "PostDown"} {
		if line := p.lines[key]; line != 0 {
			errs = append(errs, &Error{File: p.path, Line: line, Key: key, Err: errors.New("hooks are for files of root's: leave it out")})
		}
	}
	return errs
}

// LoadChain is Chain for files that are read first.
func LoadChain(paths []string, o *Overrides) (*Instance, error) {
	if o == nil {
		o = new(Overrides)
	}
	var files []*File
	var errs []error
	for _, p := range paths {
		f, e := load(p)
		files, errs = append(files, f), append(errs, e...)
	}
	if len(errs) > 0 {
		return nil, o.join(errs)
	}
	return Chain(files, o)
}

// join returns the errors that o asks for.
func (o *Overrides) join(errs []error) error {
	if o.AllErrors {
		return errors.Join(errs...)
	}
	return errs[0]
}

func loadProfile(path string, o *Overrides) (*Instance, []error) {
	p, errs := openProfile(path)
	if len(errs) > 0 {
		return nil, errs
	}
	return p.instance(&Instance{Name: p.name, Files: []string{path}, Warnings: p.warnings}, o)
}

// instance completes c with what the files say that p names.
func (p *profile) instance(c *Instance, o *Overrides) (*Instance, []error) {
	t, errs := p.tree(c, load)
	if len(errs) > 0 {
		return nil, errs
	}
	if err := t.placeAll(); err != nil {
		return nil, []error{err}
	}
	if len(o.Routes) == 0 {
		if err := t.giveRoutes(c); err != nil {
			return nil, []error{err}
		}
	}
	if err := t.fill(c, p.settings, o); err != nil {
		return nil, []error{err}
	}
	return c, nil
}

// openProfile reads and parses the profile alone.
func openProfile(path string) (*profile, []error) {
	file, info, err := open(path, "profile")
	if err != nil {
		return nil, []error{err}
	}
	defer func() { _ = file.Close() }() // only read
	text, err := readText(path, file, info.Size(), maxFile, "profile")
	if err != nil {
		return nil, []error{err}
	}
	p, errs := parseProfile(path, text, false)
	if len(errs) > 0 {
		return nil, errs
	}
	p.info = info
	check := checkWritable
	if p.hasKeys() {
		check = checkMode
	}
	if err := check(path, info); err != nil {
		return nil, []error{&Error{File: path, Err: err}}
	}
	if p.settings.hasHooks() {
		err = checkTrusted(path, info)
	}
	if err != nil {
		return nil, []error{err}
	}
	return p, nil
}

// hasKeys reports whether a hop is written out in the profile.
func (p *profile) hasKeys() bool {
	for _, h := range p.hops {
		if len(h.configs) == 0 {
			return true
		}
	}
	return false
}

// tree loads the files that p names, and names its hops.
func (p *profile) tree(c *Instance, load func(path string) (*File, []error)) (*tree, []error) {
	var errs []error
	loaded := make(map[string]*File)
	var members []*member
	for _, h := range p.hops {
		if len(h.configs) == 0 {
			members = append(members, &member{name: h.name, file: h.inline, spec: h})
		}
		for _, name := range h.configs {
			path := p.find(name)
			if _, ok := loaded[path]; !ok {
				f, e := load(path)
				loaded[path], errs = f, append(errs, e...)
				c.Files = append(c.Files, path)
			}
			m := &member{file: loaded[path], spec: h}
			if len(h.configs) == 1 {
				m.name = h.name // several are a group of that name
			}
			members = append(members, m)
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	if err := p.nameHops(members); err != nil {
		return nil, []error{err}
	}
	return p.grow(members), nil
}

// find returns the path of a file that the profile names, with .conf added if
// there is none without.
func (p *profile) find(name string) string {
	path := beside(p.path, name)
	if !strings.EqualFold(filepath.Ext(name), ".conf") && !exists(path) && exists(path+".conf") {
		return path + ".conf"
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// fill compiles the tree into c.
func (t *tree) fill(c *Instance, said Settings, o *Overrides) (err error) {
	c.Warnings = append(c.Warnings, t.warnings()...)
	c.Settings = said.Merge(o.Settings)
	ignored, err := t.inherit(&c.Settings, o.FileHooks)
	if err != nil {
		return err
	}
	c.Warnings = append(c.Warnings, ignored...)
	c.Config, c.LeftOut, err = t.config(o.Routes, o.Fragment)
	if err != nil {
		return err
	}
	c.Config.Addrs = c.Settings.Addrs
	for i := range c.Config.Hops {
		h := &c.Config.Hops[i]
		if bound := c.Settings.MTU; bound > 0 && h.Via == "" && h.MTU > bound {
			h.MTU = bound
		}
	}
	return t.resolve(c)
}
