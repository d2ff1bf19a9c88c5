package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// A document is what bench.json holds.
type document struct {
	Machines map[int]machine `json:"machines"` // by section: the one it was measured on
	Series   []*series       `json:"series"`
	Figures  []figure        `json:"figures"`
}

// file is the path of bench.json.
func (o *options) file() string { return filepath.Join(o.out, "bench.json") }

// load adds what an earlier run measured, but for the sections that are to be
// measured again. A file that does not exist is empty.
func (r *record) load(path string, again []int) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var d document
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		return fmt.Errorf("what an earlier run has left: %w", err)
	}
	for n, m := range d.Machines {
		if !slices.Contains(again, n) {
			r.machines[n] = m
		}
	}
	for _, s := range d.Series {
		if slices.Contains(again, s.Section) {
			continue
		}
		for _, v := range s.Values {
			r.add(s.key, v)
		}
	}
	return nil
}

// write writes everything as JSON, whole or not at all.
func (o *options) write(rec *record) error {
	b, err := json.MarshalIndent(document{rec.machines, rec.all, rec.figures(o.multihops())}, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.file()+".new", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(o.file()+".new", o.file())
}
