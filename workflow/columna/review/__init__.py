"""What people decide about results: ratings, corrected names, scans to leave out."""
