package enginetest

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// Build reads the Dockerfile out of the tar and makes an image of what it says of
// ports, environment and command. A RUN that names "false" or "exit" and a number
// fails.
func (f *Fake) Build(ctx context.Context, spec engine.BuildSpec, source io.Reader, out io.Writer) (string, error) {
	file, sum, err := readSource(source, spec.Dockerfile)
	if err != nil {
		return "", err
	}
	if err := f.delay(ctx, f.config.BuildDelay); err != nil {
		return "", err
	}
	image, err := interpret(file, engine.NewSteps(out))
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintf(sum, "%v", spec.Labels) // maps print sorted; a hash never fails
	image.ID = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	image.Created = time.Now()
	image.Labels = maps.Clone(spec.Labels)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.up(); err != nil {
		return "", err
	}
	f.putImage(image)
	if spec.Tag != "" {
		f.tag(image.ID, spec.Tag)
	}
	return image.ID, nil
}

// BuildKit returns engine.ErrNoBuildKit.
func (f *Fake) BuildKit(context.Context, engine.BuildSpec, io.Reader, io.Writer) (string, error) {
	return "", engine.ErrNoBuildKit
}

// sink is what readSource sums up the content of a tar in.
type sink interface {
	io.Writer
	Sum(b []byte) []byte
}

func readSource(source io.Reader, name string) (file string, sum sink, err error) {
	sum = sha256.New()
	found := false
	for archive := tar.NewReader(source); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", nil, err
		}
		var text bytes.Buffer
		_, _ = io.WriteString(sum, header.Name) // a hash never fails
		if _, err := io.Copy(io.MultiWriter(sum, &text), archive); err != nil {
			return "", nil, err
		}
		if path.Clean(header.Name) == path.Clean(name) {
			file, found = text.String(), true
		}
	}
	if !found {
		return "", nil, &engine.BuildError{Message: "Cannot locate specified Dockerfile: " + name}
	}
	return file, sum, nil
}

// interpret follows the few instructions that matter to octohost.
func interpret(file string, steps *engine.Steps) (engine.Image, error) {
	var image engine.Image
	lines := bufio.NewScanner(strings.NewReader(file))
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		word, args, _ := strings.Cut(line, " ")
		steps.Begin(line)
		switch strings.ToUpper(word) {
		case "FROM":
			image = engine.Image{}
		case "EXPOSE":
			image.Ports = append(image.Ports, portNumbers(args)...)
		case "ENV":
			image.Env = append(image.Env, strings.Fields(args)...)
		case "CMD":
			image.Command = argv(args)
		case "ENTRYPOINT":
			image.Entrypoint = argv(args)
		case "RUN":
			if code := runCode(args); code != 0 {
				return image, &engine.BuildError{Step: line, Message: fmt.Sprintf("returned a non-zero code: %d", code)}
			}
		case "COPY", "ADD", "LABEL", "WORKDIR", "USER", "VOLUME", "ARG", "SHELL", "STOPSIGNAL", "HEALTHCHECK", "ONBUILD", "MAINTAINER":
		default:
			return image, &engine.BuildError{Message: fmt.Sprintf("dockerfile parse error line %d: unknown instruction: %s", number, word)}
		}
	}
	slices.Sort(image.Ports)
	return image, lines.Err()
}

func portNumbers(args string) []int {
	var ports []int
	for text := range strings.FieldsSeq(args) {
		number, protocol, _ := strings.Cut(text, "/")
		if port, err := strconv.Atoi(number); err == nil && (protocol == "" || protocol == "tcp") {
			ports = append(ports, port)
		}
	}
	return ports
}

func argv(args string) []string {
	var list []string
	if json.Unmarshal([]byte(args), &list) == nil {
		return list
	}
	return []string{"/bin/sh", "-c", args}
}

func runCode(args string) int {
	words := strings.FieldsFunc(args, func(r rune) bool { return strings.ContainsRune(` "[],;&`, r) })
	for i, word := range words {
		switch {
		case word == "false":
			return 1
		case word == "exit" && i+1 < len(words):
			code, _ := strconv.Atoi(words[i+1]) // a word is as good as 0
			return code
		}
	}
	return 0
}

// Image returns an image by id or tag.
func (f *Fake) Image(_ context.Context, ref string) (engine.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.up(); err != nil {
		return engine.Image{}, err
	}
	if image, ok := f.image(ref); ok {
		return image, nil
	}
	return engine.Image{}, octo.Errorf(octo.ErrNotFound, "No such image: %s", ref)
}

// Images returns all images with these labels.
func (f *Fake) Images(_ context.Context, labels map[string]string) ([]engine.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.up(); err != nil {
		return nil, err
	}
	var out []engine.Image
	for _, id := range slices.Sorted(maps.Keys(f.images)) {
		if image := f.images[id]; hasLabels(image.Labels, labels) {
			out = append(out, engine.Image{ID: id, Tags: image.Tags, Labels: image.Labels, Created: image.Created, Size: image.Size})
		}
	}
	return out, nil
}

// Tag names an image.
func (f *Fake) Tag(_ context.Context, id, tag string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.up(); err != nil {
		return err
	}
	image, ok := f.image(id)
	if !ok {
		return octo.Errorf(octo.ErrNotFound, "tag image %s: No such image: %s", tag, id)
	}
	f.tag(image.ID, tag)
	return nil
}

// RemoveImage removes a tag, or an image that no container uses.
func (f *Fake) RemoveImage(_ context.Context, ref string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.up(); err != nil {
		return err
	}
	image, ok := f.image(ref)
	if !ok {
		return nil
	}
	if ref != image.ID && len(image.Tags) > 1 {
		f.untag(ref)
		return nil
	}
	for _, c := range f.containers {
		if c.Image == image.ID {
			return octo.Errorf(octo.ErrConflict, "remove image %s: container %s uses it", ref, c.ID)
		}
	}
	delete(f.images, image.ID)
	return nil
}

// image finds an image by id or tag. The caller holds the lock.
func (f *Fake) image(ref string) (engine.Image, bool) {
	if image, ok := f.images[ref]; ok {
		return image, true
	}
	for _, image := range f.images {
		if slices.Contains(image.Tags, ref) {
			return image, true
		}
	}
	return engine.Image{}, false
}

// putImage keeps the tags of an image that was there already.
func (f *Fake) putImage(image engine.Image) {
	image.Tags = append(slices.Clone(f.images[image.ID].Tags), image.Tags...)
	f.images[image.ID] = image
}

func (f *Fake) tag(id, tag string) {
	f.untag(tag)
	image := f.images[id]
	image.Tags = append(slices.Clone(image.Tags), tag)
	f.images[id] = image
}

func (f *Fake) untag(tag string) {
	for id, image := range f.images {
		image.Tags = slices.DeleteFunc(slices.Clone(image.Tags), func(t string) bool { return t == tag })
		f.images[id] = image
	}
}
