"""Users and groups, in the look of our pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth import admin as auth
from django.contrib.auth.models import Group, User

from ingestion.admin.base import BoundedAdmin

if TYPE_CHECKING:
    from django.contrib.auth import forms

    _UserAdmin = auth.UserAdmin[User]
    UserChangeForm = forms.UserChangeForm[User]
    UserCreationForm = forms.UserCreationForm[User]
    AdminPasswordChangeForm = forms.AdminPasswordChangeForm[User]
else:  # the same forms with unfold's widgets
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

    _UserAdmin = auth.UserAdmin

admin.site.unregister([User, Group])


@admin.register(User)
class UserAdmin(_UserAdmin, BoundedAdmin):
    """Edit who may log in; the groups viewer and operator say what they may do."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(auth.GroupAdmin, BoundedAdmin):
    """Edit groups."""
