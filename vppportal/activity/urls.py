"""Addresses of what was done."""

from __future__ import annotations

from django.urls import path

from vppportal.activity import views

urlpatterns = [path("activity/", views.activity, name="activity")]
