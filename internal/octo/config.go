package octo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Config is an app's environment: values by name. It has nothing to do with what
// people set about the app on octohost itself (Settings), or with the daemon's own
// settings.
type Config map[string]ConfigValue

// ConfigValue is one value of an app's environment: arbitrary bytes. In JSON it is a
// string, or {"base64": "…"} where it is not UTF-8. It may be a secret, so it prints
// as what it is not.
type ConfigValue []byte

// The limits of a configuration.
const (
	// MaxConfig is how many bytes all names and values of an app may have together: a
	// version must fit into one value of every store, sealed and encoded.
	MaxConfig = 350 << 10
	// MaxConfigNames is how many variables an app may have.
	MaxConfigNames = 1000
	// maxConfigName is the longest name in bytes.
	maxConfigName = 128
	// maxEnvString is what Linux takes of one environment string with its final zero
	// byte (MAX_ARG_STRLEN, 32 pages).
	maxEnvString = 128 << 10
)

// ConfigFiles is the directory in which containers find values that cannot be
// environment variables.
const ConfigFiles = "/run/octohost/config"

// CheckConfigName reports whether name can be that of a variable; the error is of
// kind ErrInvalid.
func CheckConfigName(name string) error {
	ok := name != "" && len(name) <= maxConfigName && !(name[0] >= '0' && name[0] <= '9')
	for _, r := range name {
		ok = ok && (r == '_' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9')
	}
	switch {
	case !ok:
		return Errorf(ErrInvalid, "%s cannot be the name of a variable", quoteShort(name)).
			WithHint("use letters, digits and _, not beginning with a digit, at most %d: DATABASE_URL", maxConfigName)
	case name == "PORT":
		return Errorf(ErrInvalid, "PORT is set by octohost: it is where the app must listen").
			WithHint("if the app cannot choose, say which port it listens on in octohost.toml: [deploy] port = 8080")
	case strings.HasPrefix(name, "OCTOHOST_"):
		return Errorf(ErrInvalid, "%s is octohost's: it sets the names that begin with OCTOHOST_ itself", quoteShort(name)).
			WithHint("choose another name")
	}
	return nil
}

// Check reports whether c can be an app's environment as a whole; the error is of
// kind ErrInvalid.
func (c Config) Check() error {
	size := 0
	for name, value := range c {
		if err := CheckConfigName(name); err != nil {
			return err
		}
		size += len(name) + len(value)
		if _, taken := c[name+configFileSuffix]; taken && value.NeedsFile(name) {
			return Errorf(ErrInvalid, "the value of %s must be a file, which %s%s would name, but that is set too", name, name, configFileSuffix).
				WithHint("unset one of them: octo config:unset %s%s", name, configFileSuffix)
		}
	}
	if len(c) > MaxConfigNames {
		return Errorf(ErrInvalid, "these are %d variables; at most %d are possible", len(c), MaxConfigNames).WithHint("put what belongs together into one value")
	}
	if size > MaxConfig {
		return Errorf(ErrInvalid, "names and values have %s together; at most %s are possible", Size(size), Size(MaxConfig)).
			WithHint("put large files into the image, or where the app can fetch them")
	}
	return nil
}

// configFileSuffix makes of a variable's name that of the one which names its file.
const configFileSuffix = "_FILE"

// NeedsFile reports whether v cannot be the environment variable name of a process:
// it is too long for Linux, has a zero byte, or is not UTF-8, which engines do not
// take. Then it is a file in ConfigFiles, which the variable name_FILE names.
func (v ConfigValue) NeedsFile(name string) bool {
	return len(name)+len("=")+len(v)+1 > maxEnvString || bytes.IndexByte(v, 0) >= 0 || !utf8.Valid(v)
}

// FileVariable returns the variable that tells a process where the file with the value
// of name is.
func FileVariable(name string) string {
	return name + configFileSuffix + "=" + ConfigFiles + "/" + name
}

// String hides the value: what is printed by accident tells nothing.
func (v ConfigValue) String() string { return "(hidden)" }

// GoString hides the value.
func (v ConfigValue) GoString() string { return v.String() }

// LogValue hides the value.
func (v ConfigValue) LogValue() slog.Value { return slog.StringValue(v.String()) }

// binaryValue is a ConfigValue in JSON that is not UTF-8.
type binaryValue struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON returns a string, or an object where v is not UTF-8.
func (v ConfigValue) MarshalJSON() ([]byte, error) {
	if utf8.Valid(v) {
		return json.Marshal(string(v))
	}
	return json.Marshal(binaryValue{v})
}

// UnmarshalJSON is the reverse of MarshalJSON. Its errors say nothing of the value.
func (v *ConfigValue) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) == nil && !bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		*v = ConfigValue(s)
		return nil
	}
	var b binaryValue
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if dec.Decode(&b) != nil || b.Base64 == nil {
		return Errorf(ErrInvalid, "a value is neither a string nor {\"base64\": \"…\"}").WithHint(`write numbers and the like in quotes: "8080"`)
	}
	*v = b.Base64
	return nil
}

// ConfigVersion is one immutable version of an app's environment, without its values.
type ConfigVersion struct {
	Number      int       `json:"number"`
	Author      string    `json:"author"`
	Created     time.Time `json:"created"`
	Description string    `json:"description"`        // "Set GREETING"
	Releases    []int     `json:"releases,omitempty"` // that were made with it, ascending
	Current     bool      `json:"current,omitempty"`  // the next release is made with it
}

// ConfigDraft is a version that is to be.
type ConfigDraft struct {
	App         Name
	Author      string
	Description string
	Values      Config
}

// ConfigDefault is what a repository says of a variable that people may have set or
// not.
type ConfigDefault struct {
	Value    string // used where the variable is not set
	Generate bool   // the value is random, made once
	Required bool   // somebody must set it where there is neither
}

// ConfigChange names the variables that a change touches.
type ConfigChange struct {
	Set   []string // added or changed, sorted
	Unset []string // sorted
}

// String describes the change in a few words: "Set A, B; unset C".
func (c ConfigChange) String() string {
	var parts []string
	if len(c.Set) > 0 {
		parts = append(parts, "set "+someOf(c.Set))
	}
	if len(c.Unset) > 0 {
		parts = append(parts, "unset "+someOf(c.Unset))
	}
	text := strings.Join(parts, "; ")
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// someOf lists names, the first few of many.
func someOf(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most-1], ", "), len(names)-most+1)
}

// ConfigChanges returns what has to be done to a to make it b.
func ConfigChanges(a, b Config) ConfigChange {
	var c ConfigChange
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if old, ok := a[name]; !ok || !bytes.Equal(old, b[name]) {
			c.Set = append(c.Set, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if _, ok := b[name]; !ok {
			c.Unset = append(c.Unset, name)
		}
	}
	return c
}
