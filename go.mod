module github.com/octohost/octohost

go 1.26
