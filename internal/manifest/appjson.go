package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// AppJSONName is the name of the file, at the root of a repository.
const AppJSONName = "app.json"

// AppJSON is what octohost understands of app.json, which Heroku
// (https://devcenter.heroku.com/articles/app-json-schema) and Dokku
// (https://dokku.com/docs/appendices/file-formats/app-json/) read too. Keys of theirs
// that mean nothing here are ignored. The zero value says nothing.
type AppJSON struct {
	Quantities   map[octo.Name]int // formation: how many instances of a process
	Env          map[string]octo.ConfigDefault
	Healthchecks map[octo.Name][]Probe

	// Scripts run before a release does.
	Predeploy, Release, Postdeploy, FirstDeploy Command

	ignored []string // notes about what was not understood
}

// ParseAppJSON reads app.json. Errors are of kind octo.ErrInvalid and say where.
func ParseAppJSON(text []byte) (AppJSON, error) {
	var a AppJSON
	if len(text) > MaxSize {
		return a, octo.Errorf(octo.ErrInvalid, "%s has %d bytes, more than %d", AppJSONName, len(text), MaxSize)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	var bad *json.SyntaxError
	if err := json.Unmarshal(text, new(any)); errors.As(err, &bad) {
		line := 1 + bytes.Count(text[:min(int(bad.Offset), len(text))], []byte("\n"))
		return a, octo.Errorf(octo.ErrInvalid, "%s:%d: %s", AppJSONName, line, bad)
	}
	top, err := object("", text)
	if err != nil {
		return a, err
	}
	for _, part := range []struct {
		key  string
		read func(string, json.RawMessage) error
	}{
		{"formation", a.readFormation}, {"env", a.readEnv}, {"scripts", a.readScripts}, {"healthchecks", a.readHealthchecks},
	} {
		if err := part.read(part.key, top[part.key]); err != nil {
			return AppJSON{}, err
		}
	}
	for _, key := range []string{"addons", "cron"} {
		if len(top[key]) > 0 && string(top[key]) != "null" {
			a.ignore("%s is not known here: ignored", key)
		}
	}
	return a, nil
}

func (a *AppJSON) ignore(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	if !slices.Contains(a.ignored, note) {
		a.ignored = append(a.ignored, note)
	}
}

// wrong says that a value is not what it must be.
func wrong(path, want string) error {
	if path == "" {
		return octo.Errorf(octo.ErrInvalid, "%s must be %s", AppJSONName, want)
	}
	return octo.Errorf(octo.ErrInvalid, "%s: %.200s must be %s", AppJSONName, path, want)
}

// value reads a value of one type; one that is missing or null leaves into as it is.
func value[T any](path string, raw json.RawMessage, into *T) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return wrong(path, inWords(reflect.TypeFor[T]().String()))
	}
	return nil
}

// object reads an object; one that is missing or null is empty.
func object(path string, raw json.RawMessage) (map[string]json.RawMessage, error) {
	var o map[string]json.RawMessage
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, wrong(path, "an object: {…}")
	}
	return o, nil
}

// processes calls read with each process that an object speaks of, in order.
func processes(path string, raw json.RawMessage, read func(octo.Name, string, json.RawMessage) error) error {
	all, err := object(path, raw)
	if err != nil {
		return err
	}
	if len(all) > maxProcesses {
		return octo.Errorf(octo.ErrInvalid, "%s: %s has more than %d processes", AppJSONName, path, maxProcesses)
	}
	for _, key := range sortedKeys(all) {
		name, err := octo.ParseName(key)
		if err != nil {
			return octo.Errorf(octo.ErrInvalid, "%s: %s: %v", AppJSONName, path, err)
		}
		if err := read(name, path+"."+key, all[key]); err != nil {
			return err
		}
	}
	return nil
}

// readFormation reads {"web": {"quantity": 2}}.
func (a *AppJSON) readFormation(path string, raw json.RawMessage) error {
	a.Quantities = map[octo.Name]int{}
	return processes(path, raw, func(name octo.Name, path string, raw json.RawMessage) error {
		of, err := object(path, raw)
		if err != nil {
			return err
		}
		var quantity *int
		if err := value(path+".quantity", of["quantity"], &quantity); err != nil {
			return wrong(path+".quantity", "a whole number")
		}
		if outside(quantity, 0, octo.MaxCount) {
			return wrong(path+".quantity", fmt.Sprintf("between 0 and %d", octo.MaxCount))
		}
		if quantity != nil {
			a.Quantities[name] = *quantity
		}
		for _, key := range []string{"max_parallel", "size"} {
			if of[key] != nil {
				a.ignore("%s in formation is not known here: ignored", key)
			}
		}
		return nil
	})
}

// readEnv reads {"KEY": "value"} and {"KEY": {"value": …, "generator": "secret"}}.
func (a *AppJSON) readEnv(path string, raw json.RawMessage) error {
	all, err := object(path, raw)
	if err != nil || len(all) == 0 {
		return err
	}
	a.Env = map[string]octo.ConfigDefault{}
	for _, name := range sortedKeys(all) {
		d, err := readVariable(path+"."+name, all[name])
		if err != nil {
			return err
		}
		a.Env[name] = d
	}
	return nil
}

func readVariable(path string, raw json.RawMessage) (octo.ConfigDefault, error) {
	d := octo.ConfigDefault{Required: true} // as Heroku has it
	if len(raw) > 0 && raw[0] == '"' {
		err := value(path, raw, &d.Value)
		return d, err
	}
	of, err := object(path, raw)
	if err != nil {
		return d, wrong(path, "text, or an object: {…}")
	}
	var generator string
	err = errors.Join(
		value(path+".value", of["value"], &d.Value),
		value(path+".required", of["required"], &d.Required),
		value(path+".generator", of["generator"], &generator),
	)
	if err != nil {
		return d, first(err)
	}
	if generator != "" && generator != "secret" {
		return d, wrong(path+".generator", `"secret"`)
	}
	d.Generate = generator == "secret"
	return d, nil
}

// first returns the first of errors that were joined.
func first(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()[0]
	}
	return err
}

// readScripts reads what runs for a release.
func (a *AppJSON) readScripts(path string, raw json.RawMessage) error {
	scripts, err := object(path, raw)
	if err != nil {
		return err
	}
	dokku, err := object(path+".dokku", scripts["dokku"])
	if err != nil {
		return err
	}
	for _, s := range []struct {
		of   map[string]json.RawMessage
		path string
		into *Command
	}{
		{dokku, "dokku.predeploy", &a.Predeploy},
		{scripts, "release", &a.Release},
		{scripts, "postdeploy", &a.FirstDeploy},
		{dokku, "dokku.postdeploy", &a.Postdeploy},
	} {
		_, key, nested := strings.Cut(s.path, ".")
		if !nested {
			key = s.path
		}
		if *s.into, err = readScript(path+"."+s.path, s.of[key]); err != nil {
			return err
		}
	}
	return nil
}

// readScript reads a command: text, or as {"command": "…"}.
func readScript(path string, raw json.RawMessage) (Command, error) {
	if len(raw) > 0 && raw[0] == '{' {
		of, err := object(path, raw)
		if err != nil {
			return nil, err
		}
		path, raw = path+".command", of["command"]
	}
	var line string
	if err := value(path, raw, &line); err != nil {
		return nil, err
	}
	if strings.TrimSpace(line) == "" {
		return nil, nil
	}
	command, err := split(line)
	if err != nil {
		return nil, octo.Errorf(octo.ErrInvalid, "%s: %s: %v", AppJSONName, path, err)
	}
	return command, nil
}
