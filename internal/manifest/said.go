package manifest

import "github.com/octohost/octohost/internal/octo"

// Said is all that a repository says about itself.
type Said struct {
	Manifest Manifest // goes over the two others
	App      AppJSON  // goes over the Procfile, and over the HEALTHCHECK of the image
	Procfile Procfile
}

// Read reads the files of a repository, by their paths, as far as they are there. The
// error is of kind octo.ErrInvalid.
func Read(files map[string][]byte) (s Said, err error) {
	if text, ok := files[Name]; ok {
		if s.Manifest, err = Parse(text); err != nil {
			return s, err
		}
	}
	if s.Procfile, err = ParseProcfile(files["Procfile"]); err != nil {
		return s, err
	}
	if text, ok := files[AppJSONName]; ok {
		s.App, err = ParseAppJSON(text)
	}
	return s, err
}

// Tasks returns what runs for a release, in the order in which it does.
func (s Said) Tasks() []octo.Task {
	release := s.Manifest.Deploy.Release
	for _, c := range []Command{s.App.Release, s.Procfile.Release} {
		if release == nil {
			release = c
		}
	}
	var tasks []octo.Task
	for _, t := range []octo.Task{
		{Name: "dokku.predeploy", Command: s.App.Predeploy},
		{Name: "release", Command: release},
		{Name: "postdeploy", Command: s.App.FirstDeploy, First: true},
		{Name: "dokku.postdeploy", Command: s.App.Postdeploy},
	} {
		if t.Command != nil {
			tasks = append(tasks, t)
		}
	}
	return tasks
}
